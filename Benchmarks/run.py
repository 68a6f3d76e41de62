#!/usr/bin/env python3
"""`make bench`: measures this store and its peers on one file, prints Markdown, writes bench-work/results.json.

    python3 Benchmarks/run.py                           a made-up file of 1,000,000 events, all peers that can be had
    python3 Benchmarks/run.py --peers none --events 100000
    python3 Benchmarks/run.py --input events.ndjson --real DIR
    python3 Benchmarks/run.py --binary PATH/eventstore --set EVENTSTORE_SOMETHING=1

The release binary is built unless --binary names one. Peers are installed from PyPI into bench-work/. What each figure
means stands in docs/benchmarks.md. Counts of events are checked: a figure of a wrong result is not printed.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import machine
import peers as peer_programs
import this_store

HERE = pathlib.Path(__file__).resolve().parent


def say(text):
    print(text, file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--input", help="event lines; .gz and .zst are unpacked first (default: made up)")
    parser.add_argument("--events", type=int, default=1_000_000, help="size of the made-up file (default 1000000)")
    parser.add_argument("--batch", type=int, default=500, help="events a commit of the durable import (default 500)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each import; the median counts (default 3)")
    parser.add_argument("--real", metavar="DIR", help="also sizes of each *.ndjson[.gz|.zst] in DIR")
    parser.add_argument(
        "--peers", default="all", help="all, none, or some of: " + ", ".join(peer_programs.PACKAGES) + " (default all)")
    parser.add_argument("--skip-self", action="store_true", help="measure peers only")
    parser.add_argument("--binary", help="the eventstore to measure (default: build the release one)")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[],
        help="measure imports once more with this environment variable; may be repeated")
    parser.add_argument("--quick", action="store_true", help="50,000 events, one run: a check, no measurement")
    parser.add_argument("--work", default="bench-work", help="where files are made (default bench-work)")
    for name in ("--only", "--budget", "--processes", "--plot"):  # of questions.py, the other half of `make bench`
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.events, options.repeat = min(options.events, 50_000), 1
    return options


def release_binary():
    say("building the release binary …")
    subprocess.run(["swift", "build", "-c", "release"], check=True, stdout=sys.stderr)
    shown = subprocess.run(
        ["swift", "build", "-c", "release", "--show-bin-path"], check=True, capture_output=True, text=True)
    return os.path.join(shown.stdout.strip(), "eventstore")


def input_file(options, work):
    """A plain file of event lines, and what is in it."""
    maker = [sys.executable, str(HERE / "make_input.py")]
    if options.input is None:
        path = work / f"made-{options.events}.ndjson"
        if not path.exists():
            say(f"making {path} …")
            part = path.with_suffix(".part")
            subprocess.run([*maker, "--events", str(options.events), "--out", str(part)], check=True)
            part.rename(path)
    else:
        path = pathlib.Path(options.input).resolve()
        if path.suffix in (".zst", ".gz"):
            plain = work / path.stem
            with open(plain, "wb") as out:
                command = ["zstd", "-dcq"] if path.suffix == ".zst" else ["gzip", "-dc"]
                subprocess.run([*command, str(path)], check=True, stdout=out)
            path = plain
    described = subprocess.run([*maker, "--describe", str(path)], check=True, capture_output=True, text=True)
    return path, json.loads(described.stdout)


def merged(runs):
    """Medians, figure by figure, of the runs."""
    return {name: machine.median([run[name] for run in runs]) for name in runs[0]}


def measure_self(options, binary, work, file, facts):
    results = []
    variants = [("eventstore", {})] + [("eventstore, " + text, dict([text.split("=", 1)])) for text in options.set]
    for name, environment in variants:
        say(f"{name}: bulk import, {options.repeat} ×")
        runs = [this_store.bulk(binary, work, file, facts, environment) for _ in range(options.repeat)]
        say(f"{name}: durable import, {options.repeat} ×")
        more = [
            this_store.durable(binary, work, file, facts, options.batch, environment) for _ in range(options.repeat)]
        results.append({"store": name, **merged(runs), **merged(more)})
    return results


def environment_of(peer, work):
    """The Python of a virtual environment that has the peer; `None` when it cannot be had."""
    packages = peer_programs.PACKAGES[peer]
    place = work / f"venv-{peer}"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        say(f"{peer}: installing {' '.join(packages)} …")
        shutil.rmtree(place, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(place)], stdout=sys.stderr)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        if made.returncode != 0 or subprocess.run(install, stdout=sys.stderr).returncode != 0:
            if peer == "sqlite":
                return sys.executable  # which has it; only the quicker JSON library is missing
            say(f"{peer}: cannot be installed here, left out")
            return None
        (place / "ready").touch()
    return str(python)


def measure_peer(options, peer, python, work, file, facts):
    result = {"store": peer}
    for stage in ("bulk", "durable"):
        say(f"{peer}: {stage} import, {options.repeat} ×")
        runs = []
        for _ in range(options.repeat):
            folder = tempfile.mkdtemp(prefix=f"{peer}-", dir=work)
            try:
                program = [python, str(HERE / "peers.py"), peer, stage, str(file), folder, str(options.batch)]
                _, peak, output = machine.run(program)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            answer = machine.last_json(output)
            this_store.check(answer["events"], facts["lines"], f"{peer}, {stage}")
            run = {stage: answer["events"] / answer["seconds"], stage + "Peak": peak}
            if stage == "bulk":
                run.update(bytes=answer["bytes"], bytesPerEvent=answer["bytes"] / answer["events"])
            runs.append(run)
        result.update(merged(runs))
    return result


def measure_peers(options, work, file, facts):
    if options.peers == "none":
        return []
    wanted = list(peer_programs.PACKAGES) if options.peers == "all" else options.peers.split(",")
    results = []
    for peer in wanted:
        if peer not in peer_programs.PACKAGES:
            sys.exit(f"unknown peer '{peer}'; known: {', '.join(peer_programs.PACKAGES)}")
        python = environment_of(peer, work)
        if python is None:
            continue
        try:
            results.append(measure_peer(options, peer, python, work, file, facts))
        except machine.Failed as failure:
            say(f"{peer}: left out: {failure}")
    return results


# ---------------------------------------------------------------- words


COLUMNS = [
    ("bulk, events/s", lambda row: f"{row['bulk']:,.0f}"),
    ("bulk, read back, events/s", lambda row: f"{row['bulkAndReadBack']:,.0f}"),
    ("durable, events/s", lambda row: f"{row['durable']:,.0f}"),
    ("again, events/s", lambda row: f"{row['again']:,.0f}"),
    ("MB", lambda row: f"{row['bytes'] / 1e6:.1f}"),
    ("bytes an event", lambda row: f"{row['bytesPerEvent']:.1f}"),
    ("peak MB, bulk", lambda row: f"{row['bulkPeak'] / 1e6:.0f}"),
    ("peak MB, durable", lambda row: f"{row['durablePeak'] / 1e6:.0f}"),
    ("stats, ms", lambda row: f"{row['statsMs']:.1f}"),
    ("last 50, ms", lambda row: f"{row['lastFiftyMs']:.1f}"),
    ("open + count by type, in process, ms", lambda row: f"{row['openAndCountByTypeMs']:.1f}"),
    ("open + last 50, in process, ms", lambda row: f"{row['openAndLast50Ms']:.1f}"),
]


def table(header, lines):
    text = "| " + " | ".join(header) + " |\n|" + "---|" * len(header) + "\n"
    return text + "".join("| " + " | ".join(line) + " |\n" for line in lines)


def cell(make, row):
    try:
        return make(row)
    except KeyError:
        return "–"


def report(results):
    facts, place = results["input"], results["machine"]
    text = (
        f"{facts['lines']:,} lines, {facts['bytes'] / 1e6:.0f} MB, {facts['distinct']:,} distinct events of "
        f"{facts['entities']:,} entities; commits of {results['batch']}; medians of {results['repeat']}. "
        f"{place['processor']}, {place['cores']} cores, {place['memoryGB']} GB, {place['system']}, "
        f"{place['syncsPerSecond']:,} synced 4 KiB appends a second, {place['date']}.\n\n")
    text += table(
        ["store"] + [name for name, _ in COLUMNS],
        [[row["store"]] + [cell(make, row) for _, make in COLUMNS] for row in results["stores"]])
    if results["real"]:
        lines = [
            [row["file"], f"{row['events']:,}"] + [f"{row[name]:.1f}" for name in ("day", "week", "month")]
            for row in results["real"]]
        text += "\n" + table(["bytes an event of", "events", "by day", "by week", "by month"], lines)
    return text


def main():
    options = arguments()
    work = pathlib.Path(options.work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    binary = None if options.skip_self else options.binary or release_binary()
    file, facts = input_file(options, work)
    results = {
        "machine": machine.describe(work), "input": facts, "batch": options.batch, "repeat": options.repeat,
        "stores": [], "real": []}  # fmt: skip
    if binary:
        results["stores"] += measure_self(options, binary, work, file, facts)
    results["stores"] += measure_peers(options, work, file, facts)
    if options.real and binary:
        say("sizes of real files")
        results["real"] = this_store.real_sizes(binary, work, options.real)
    (work / "results.json").write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(report(results), end="")


if __name__ == "__main__":
    try:
        main()
    except machine.Failed as failure:
        sys.exit(f"bench: {failure}")
