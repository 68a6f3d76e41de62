#!/usr/bin/env python3
"""The fourteen questions: this store beside its peers on one file, answers compared before any time counts.

    python3 Benchmarks/questions.py                          a made-up file of 1,000,000 events, all peers
    python3 Benchmarks/questions.py --quick                  50,000 events: does everything work, do answers agree
    python3 Benchmarks/questions.py --input events.ndjson --peers duckdb,sqlite --only 4,5,6
    python3 Benchmarks/questions.py --events 10000000 --plot docs/images/questions.svg
    python3 Benchmarks/questions.py --redraw bench-work/questions.json

Prints Markdown, writes bench-work/questions.json and a plot. Each store answers each question in a process of its own:
seven variations once untimed, then timed in the same process (hot), then with the store opened before each (cold, the
opening included; files in the system's cache). Medians count. Answers of all stores to all variations are compared;
where two disagree, the question is named, its times are dropped, and the exit code is 1.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import machine
import peers as peer_programs
import question_answers as answers
import question_report
import this_store
from question_set import TITLES, Dialect, question_sql
from run import environment_of, input_file, release_binary, say

HERE = pathlib.Path(__file__).resolve().parent
OURS = "eventstore"
PEERS = ["duckdb-encrypted", "duckdb", "chdb", "sqlite", "sqlcipher"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--input", help="event lines; .gz and .zst are unpacked first (default: made up)")
    parser.add_argument("--events", type=int, help="size of the made-up file (default 1000000)")
    parser.add_argument("--peers", default="all", help="all, none, or some of: " + ", ".join(PEERS) + " (default all)")
    parser.add_argument("--only", help="some of the questions, as in 1,4,12")
    parser.add_argument("--quick", action="store_true", help="50,000 events and little patience: a check, no measurement")
    parser.add_argument("--budget", type=float, help="stop repeating after this many seconds a question (default 20)")
    parser.add_argument("--processes", type=int, help="runs of whole processes; the median counts (default 3)")
    parser.add_argument("--binary", help="the eventstore to measure (default: build the release one)")
    parser.add_argument("--skip-self", action="store_true", help="measure peers only")
    parser.add_argument("--work", default="bench-work", help="where files are made (default bench-work)")
    parser.add_argument("--plot", help="where the plot goes (default questions.svg in --work)")
    parser.add_argument("--redraw", metavar="JSON", help="no measurement: table and plot of earlier results")
    for name in ("--batch", "--repeat", "--real", "--set"):  # of run.py, the other half of `make bench`
        parser.add_argument(name, action="append", help=argparse.SUPPRESS)
    options = parser.parse_args()
    small = options.quick
    options.events = options.events or (50_000 if small else 1_000_000)
    options.budget = options.budget if options.budget is not None else (2 if small else 20)
    options.processes = options.processes if options.processes is not None else (1 if small else 3)
    return options


# ---------------------------------------------------------------- stores


class Ours:
    """This store: loaded by its command line, asked by the program `in-process` beside it."""

    name = OURS

    def __init__(self, binary, work):
        self.binary, self.work = binary, work
        self.program = os.path.join(os.path.dirname(binary), "in-process")
        self.store = this_store.Store(binary, work)
        self.folder = pathlib.Path(self.store.folder)

    def load(self, facts):
        seconds, peak, report = self.store.load(facts["file"])
        this_store.check(report["stored"], facts["events"], "import")
        return {"seconds": seconds, "peak": peak, "bytes": self.store.bytes}

    def variation(self, number, values, target):
        if number == 13:
            return {"export": values["entity"], "to": target}
        return {"sql": question_sql(Dialect(), number, values)}

    def ask(self, number, facts):
        plan = {
            "variations": [
                self.variation(number, values, str(self.folder / f"export-{index}.ndjson"))
                for index, values in enumerate(facts["variations"][str(number)])
            ]
        }
        path = self.folder / "question.json"
        path.write_text(json.dumps(plan), "utf-8")
        command = [self.program, "ask", self.store.path, self.store.path + ".key", str(path)]
        _, peak, output = machine.run(command)
        return {**machine.last_json(output), "peak": peak}

    def once(self, number, facts):
        values = facts["variations"][str(number)][0]
        if number == 13:
            arguments = ["events", "--entity", values["entity"], "--oldest-first", "--limit", "0", "--format", "ndjson"]
        else:
            arguments = ["sql", question_sql(Dialect(), number, values), "--format", "ndjson"]
        command = [self.binary, arguments[0], self.store.path, *arguments[1:]]
        return machine.run(command)[0] * 1000

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Peer:
    """Another store, in processes of question_peers.py."""

    def __init__(self, name, python, work):
        self.name, self.python = name, python
        self.folder = work / f"peer-{name}"
        self.plan = work / "plan.json"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def run(self, stage, *rest):
        program = [self.python, str(HERE / "question_peers.py"), self.name, stage, str(self.plan), str(self.folder)]
        seconds, peak, output = machine.run([*program, *map(str, rest)])
        return seconds, peak, machine.last_json(output)

    def load(self, facts):
        _, peak, report = self.run("load")
        this_store.check(report["events"], facts["events"], self.name)
        return {"seconds": report["seconds"], "peak": peak, "bytes": report["bytes"]}

    def ask(self, number, facts):
        _, peak, report = self.run("ask", number, self.folder / "export")
        return {**report, "peak": peak}

    def once(self, number, facts):
        return self.run("once", number, self.folder / "export")[0] * 1000

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def stores_of(options, work):
    stores = [] if options.skip_self else [Ours(os.path.abspath(options.binary or release_binary()), work)]
    wanted = {"all": PEERS, "none": []}.get(options.peers) or [name for name in options.peers.split(",") if name != "none"]
    for name in wanted:
        if name not in PEERS:
            sys.exit(f"unknown peer '{name}'; known: {', '.join(PEERS)}")
        python = environment_of(name, work)
        if python:
            stores.append(Peer(name, python, work))
    return stores


# ---------------------------------------------------------------- measuring


def scan(file, work):
    """What is in the file, and a copy of it without repeats."""
    say("looking at the file …")
    distinct = work / "questions.ndjson"
    ready = next((str(place.parent / "bin" / "python") for place in work.glob("venv-*/ready")), sys.executable)
    command = [ready, str(HERE / "question_set.py"), str(file), str(distinct)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {**found, "file": str(distinct), "bytes": distinct.stat().st_size}


def normal_answers(number, report):
    """The answers in the form in which they are compared; exported files are gone afterwards."""
    result = []
    for answer in report["answers"]:
        if answer.get("file"):
            answer = {"rows": answers.export(answer["file"])}
        result.append(answers.normal(number, answer))
    return result


def ask_all(number, stores, facts, processes):
    """Every store's times for a question, and where answers differ from the first store's."""
    times, wrong, first = {}, [], None
    for store in stores:
        say(f"question {number}, {TITLES[number]}: {store.name}")
        try:
            report = store.ask(number, facts)
        except machine.Failed as failure:
            wrong.append(f"question {number}: {store.name}: {failure}")
            continue
        found = normal_answers(number, report)
        if first is None:
            first = (store.name, found)
        for index, (left, right) in enumerate(zip(first[1], found)):
            differs = answers.difference(number, left, right)
            if differs:
                wrong.append(f"question {number}, variation {index + 1}: {first[0]} and {store.name} differ: {differs}")
        times[store.name] = {
            **{name: machine.median(report[name]) for name in ("hot", "cold", "open")}, "peak": report["peak"],
            "hotRuns": report["hot"], "coldRuns": report["cold"], "rows": len(found[0]),
            **{name: report["answers"][0][name] for name in ("isNative", "rowsScanned", "bytesRead")
               if report["answers"][0].get(name) is not None},
        }  # fmt: skip
        times[store.name].update(whole(store, number, facts, processes))
    return times, wrong


def whole(store, number, facts, processes):
    """A process from start to exit."""
    try:
        runs = [store.once(number, facts) for _ in range(processes)]
        return {"whole": machine.median(runs)} if runs else {}
    except machine.Failed as failure:
        say(f"question {number}, whole process: {failure}")
        return {}


def measure(options):
    work = pathlib.Path(options.work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    stores = stores_of(options, work)
    try:
        facts = scan(input_file(options, work)[0], work)
        plan = {name: facts[name] for name in ("file", "labels", "variations")}
        (work / "plan.json").write_text(json.dumps({**plan, "budget": options.budget}), "utf-8")
        results = {
            "machine": machine.describe(work), "quick": options.quick, "loads": {}, "questions": {}, "wrong": [],
            "input": {name: facts[name] for name in ("lines", "events", "entities", "first", "last", "bytes")},
        }  # fmt: skip
        for store in stores:
            say(f"{store.name}: loading")
            results["loads"][store.name] = store.load(facts)
        for number in [int(text) for text in options.only.split(",")] if options.only else TITLES:
            times, wrong = ask_all(number, stores, facts, options.processes)
            results["wrong"] += wrong
            if not any(" differ: " in text for text in wrong):
                results["questions"][str(number)] = times
        (work / "questions.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        return results
    finally:
        for store in stores:
            store.close()


def main():
    options = arguments()
    if options.redraw:
        results = json.loads(pathlib.Path(options.redraw).read_text("utf-8"))
    else:
        results = measure(options)
    plot = pathlib.Path(options.plot or pathlib.Path(options.work) / "questions.svg")
    plot.parent.mkdir(parents=True, exist_ok=True)
    plot.write_text(question_report.plot(results), "utf-8")
    print(question_report.tables(results), end="")
    for text in results["wrong"]:
        say(text)
    return 1 if results["wrong"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except machine.Failed as failure:
        sys.exit(f"bench: {failure}")
