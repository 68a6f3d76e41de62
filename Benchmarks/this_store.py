"""Measures this store through its command line."""

import os
import pathlib
import shutil
import tempfile

import machine


class Store:
    """A store in a directory of its own, with a key file, removed at the end."""

    def __init__(self, binary, work, partition="day", environment=None):
        self.binary, self.environment = str(binary), environment or {}
        self.folder = tempfile.mkdtemp(prefix="store-", dir=work)
        self.path = os.path.join(self.folder, "store")
        self.run("init", "--partition", partition, "--quiet")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command, *arguments, expect=(0,)):
        return machine.run([self.binary, command, self.path, *map(str, arguments)], self.environment, expect)

    def load(self, file, *arguments):
        """Imports a file: (seconds, peak bytes, report). Refused lines are the report's business."""
        seconds, peak, output = self.run("import", file, "--quiet", *arguments, expect=(0, 65))
        return seconds, peak, machine.last_json(output)

    @property
    def bytes(self):
        return machine.bytes_under(self.path)

    def events(self):
        return machine.last_json(self.run("stats", "--json")[2])["events"]


def check(found, wanted, what):
    if found != wanted:
        raise machine.Failed(f"{what}: {found} events, the input has {wanted} distinct ones")


def bulk(binary, work, file, facts, environment=None):
    """Bulk import without and with reading back, import again, compaction, sizes and short questions."""
    with Store(binary, work, environment=environment) as store:
        seconds, _, report = store.load(file, "--no-verify")
        check(report["stored"], facts["distinct"], "bulk import")
        result = {"bulk": report["read"] / seconds}
    with Store(binary, work, environment=environment) as store:
        seconds, peak, report = store.load(file)
        check(report["stored"], facts["distinct"], "bulk import, read back")
        result.update(bulkAndReadBack=report["read"] / seconds, bulkPeak=peak)
        store.run("verify", "--quiet")
        before = store.bytes
        seconds, peak, report = store.load(file)
        check(report["stored"], 0, "second import")
        check(store.events(), facts["distinct"], "after the second import")
        result.update(again=report["read"] / seconds, againPeak=peak, againGrowth=store.bytes - before)
        result["bytesBeforeCompaction"] = store.bytes
        result["compactSeconds"], result["compactPeak"], _ = store.run("compact", "--quiet")
        check(store.events(), facts["distinct"], "after compaction")
        result["bytes"] = store.bytes
        result["bytesPerEvent"] = store.bytes / facts["distinct"]
        result.update(questions(store, facts))
        result.update(in_process(store, facts))
        return result


def in_process(store, facts):
    """Opening and first answers inside one process, by the program beside `eventstore`; milliseconds, medians."""
    program = os.path.join(os.path.dirname(store.binary), "in-process")
    if not os.path.exists(program):
        return {}
    _, _, output = machine.run([program, store.path, store.path + ".key", facts["busiest"], "9"], {}, (0,))
    return {name + "Ms": times["median"] for name, times in machine.last_json(output).items()}


def questions(store, facts, repeats=9):
    """Whole processes: start, key file, open, answer, close; milliseconds, medians."""
    asked = {
        "statsMs": ("stats", "--json"),
        "lastFiftyMs": ("events", "--entity", facts["busiest"], "--limit", 50, "--format", "ndjson"),
        "chartMs": ("chart", "--by", "type", "--format", "csv"),
    }
    return {
        name: machine.median([store.run(*arguments)[0] for _ in range(repeats)]) * 1000
        for name, arguments in asked.items()
    }


def durable(binary, work, file, facts, batch, environment=None):
    """Acknowledged commits of `batch` events, one after another."""
    with Store(binary, work, environment=environment) as store:
        seconds, peak, report = store.load(file, "--durable", "--batch", batch)
        check(report["stored"], facts["distinct"], "durable import")
        return {"durable": report["read"] / seconds, "durablePeak": peak}


def real_sizes(binary, work, folder):
    """Bytes an event of every file in a folder, by length of partition, after compaction."""
    rows = []
    for file in sorted(pathlib.Path(folder).iterdir()):
        if not file.name.endswith((".ndjson", ".ndjson.gz", ".ndjson.zst")):
            continue
        row = {"file": file.name.split(".")[0]}
        for partition in ("day", "week", "month"):
            with Store(binary, work, partition) as store:
                _, _, report = store.load(file)
                store.run("compact", "--quiet")
                row["events"], row["refused"] = report["stored"], report["refused"]
                row[partition] = store.bytes / max(1, report["stored"])
        rows.append(row)
    return rows
