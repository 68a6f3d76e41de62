#!/usr/bin/env python3
"""The fourteen questions put to other stores: DuckDB (plain and encrypted), SQLCipher, SQLite, ClickHouse as chdb.

Called by questions.py as a process for each peer and question, in a virtual environment that has the peer:

    python question_peers.py PEER load PLAN FOLDER            fills FOLDER from the plan's file
    python question_peers.py PEER ask PLAN FOLDER QUESTION    times and answers of all variations, as JSON
    python question_peers.py PEER once PLAN FOLDER QUESTION   the first variation only, untimed: a whole process

Peers get what a careful user would give them: a typed column for each label, rows in the order of the sorting key
where there are no indexes, indexes and statistics where there are, caches of 256 MB, all cores. A label with numbers
and texts has a column of each. What ClickHouse could remember of earlier filters is off: repeats are to be work.
"""

import glob
import json
import os
import sys
import time

from peers import KEY, batches, duck_open, quoted
from question_set import Dialect, question_sql

try:
    from orjson import dumps, loads
except ImportError:
    from json import loads

    def dumps(value):
        return json.dumps(value, separators=(",", ":")).encode()


FIXED = ["event_id", "entity", "event_type", "timestamp"]


def columns(labels):
    """Columns for labels: (name, label, kind), two for a mixed one."""
    for label, facts in labels.items():
        if facts["kind"] == "mixed":
            yield label, label, "int"
            yield label + "__text", label, "str"
        else:
            yield label, label, facts["kind"]


class Peer(Dialect):
    id, type = "event_id", "event_type"

    def __init__(self, plan, folder):
        self.plan, self.folder, self.labels = plan, folder, plan["labels"]
        self.connection = None

    def name(self, label):
        return quoted(label)

    def day(self, timestamp):
        return str(timestamp)

    def bucket(self, width):
        length = width[1] * 60_000
        return f"timestamp // {length} * {length}"

    def ask(self, sql):
        cursor = self.connection.execute(sql)
        rows = cursor.fetchall()
        return [column[0] for column in cursor.description], rows

    def answer(self, number, values, target):
        if number != 13:
            names, rows = self.ask(question_sql(self, number, values))
            return {"columns": names, "rows": rows}
        self.export(values["entity"], target)
        return {"file": target}


# ---------------------------------------------------------------- DuckDB


class Duck(Peer):
    types = {"int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "str": "VARCHAR", "other": "VARCHAR"}
    encrypted = False

    def open(self):
        self.connection = duck_open(self.folder, self.encrypted)

    def close(self):
        self.connection.close()

    def contains(self, label, word):
        return f"contains({self.name(label)}, '{word}')"

    def quantiles(self, label, levels):
        column = self.name(label)
        return (
            f"SELECT entity, count(*) AS n, quantile_cont({column}, {list(levels)}) AS q FROM events "
            f"WHERE event_type = 'http.request' AND {column} IS NOT NULL GROUP BY entity ORDER BY n DESC, entity LIMIT 10")

    def ask(self, sql):
        names, rows = super().ask(sql)
        if names[-1:] == ["q"]:
            rows = [[*row[:-1], *row[-1]] for row in rows]
        return names, rows

    def load(self):
        struct, taken, declared = [], [], []
        for label, facts in self.labels.items():
            kind = "JSON" if facts["kind"] in ("mixed", "other") else self.types[facts["kind"]]
            struct.append(f"{quoted(label)} {kind}")
        for column, label, kind in columns(self.labels):
            source = f"labels.{quoted(label)}"
            if column.endswith("__text"):
                source = f"CASE WHEN json_type({source}) = 'VARCHAR' THEN {source} ->> '$' END"
            elif self.labels[label]["kind"] == "mixed":
                source = f"TRY_CAST({source} AS BIGINT)"
            taken.append(source)
            declared.append(f"{quoted(column)} {self.types[kind]}")
        fixed = ["event_id UUID", "entity VARCHAR", "event_type VARCHAR", "timestamp BIGINT"]
        self.connection.execute(f"CREATE TABLE events ({', '.join(fixed + declared)})")
        self.connection.execute(
            f"INSERT INTO events SELECT {', '.join(FIXED + taken)} FROM read_json('{self.plan['file']}', "
            "format='newline_delimited', columns={event_id: 'UUID', entity: 'VARCHAR', event_type: 'VARCHAR', "
            f"timestamp: 'BIGINT', labels: 'STRUCT({', '.join(struct)})'}}) ORDER BY entity, event_type, timestamp")
        self.connection.execute("CHECKPOINT")

    def export(self, entity, target):
        self.connection.execute(
            f"COPY (SELECT * FROM events WHERE entity = {self.text(entity)} ORDER BY timestamp) TO '{target}' (FORMAT json)")


class EncryptedDuck(Duck):
    encrypted = True


# ---------------------------------------------------------------- SQLite and SQLCipher


class Lite(Peer):
    types = {"int": "INTEGER", "float": "REAL", "bool": "INTEGER", "str": "TEXT", "other": "TEXT"}
    encrypted = False

    def open(self):
        if self.encrypted:
            import sqlcipher3 as sqlite
        else:
            import sqlite3 as sqlite
        self.connection = sqlite.connect(f"{self.folder}/peer.db", isolation_level=None)
        if self.encrypted:
            self.connection.execute(f"PRAGMA key = \"x'{KEY}'\"")
        else:
            self.connection.execute("PRAGMA mmap_size = 8589934592")
        self.connection.execute("PRAGMA cache_size = -262144")
        self.connection.execute("PRAGMA temp_store = MEMORY")

    def close(self):
        self.connection.close()

    def bucket(self, width):
        return super().bucket(width).replace("//", "/")

    def contains(self, label, word):
        return f"instr({self.name(label)}, '{word}') > 0"

    def quantiles(self, label, levels):
        """Linear interpolation: values weigh by how near their rank is to the place asked for."""
        column = self.name(label)
        asked = ", ".join(f"sum(v * max(0.0, 1 - abs(r - (n - 1) * {level})))" for level in levels)
        return (
            f"WITH d AS (SELECT entity, {column} AS v FROM events WHERE event_type = 'http.request' AND v IS NOT NULL), "
            "top AS (SELECT entity, count(*) AS n FROM d GROUP BY entity ORDER BY n DESC, entity LIMIT 10), "
            "ranked AS (SELECT entity, n, v, row_number() OVER (PARTITION BY entity ORDER BY v) - 1 AS r "
            f"FROM d JOIN top USING (entity)) SELECT entity, n, {asked} FROM ranked GROUP BY entity ORDER BY n DESC, entity")

    def rows(self, lines):
        layout = list(columns(self.labels))
        for line in lines:
            event = loads(line)
            labels = event.get("labels", {})
            values = [event[name] for name in FIXED]
            for column, label, _ in layout:
                value = labels.get(label)
                if self.labels[label]["kind"] == "mixed" and isinstance(value, str) != column.endswith("__text"):
                    value = None
                values.append(dumps(value).decode() if isinstance(value, (list, dict)) else value)
            yield values

    def load(self):
        declared = ["event_id TEXT", "entity TEXT", "event_type TEXT", "timestamp INTEGER"]
        declared += [f"{quoted(column)} {self.types[kind]}" for column, _, kind in columns(self.labels)]
        run = self.connection.execute
        run("PRAGMA synchronous = FULL")
        run(f"CREATE TABLE events ({', '.join(declared)})")
        run("BEGIN")
        insert = f"INSERT INTO events VALUES ({', '.join('?' * len(declared))})"
        for lines in batches(self.plan["file"], 50_000):
            self.connection.executemany(insert, self.rows(lines))
        run("CREATE INDEX by_entity ON events (entity, timestamp)")
        run("CREATE INDEX by_type ON events (event_type, timestamp)")
        run("CREATE INDEX by_id ON events (event_id)")
        run("COMMIT")
        run("ANALYZE")

    def export(self, entity, target):
        cursor = self.connection.execute(
            f"SELECT * FROM events WHERE entity = {self.text(entity)} ORDER BY timestamp")
        names = [column[0] for column in cursor.description]
        with open(target, "wb", buffering=1 << 20) as file:
            for row in cursor:
                file.write(dumps({name: value for name, value in zip(names, row) if value is not None}) + b"\n")


class EncryptedLite(Lite):
    encrypted = True


# ---------------------------------------------------------------- ClickHouse, embedded


class Click(Peer):
    types = {"int": "Int64", "float": "Float64", "bool": "Bool", "str": "String", "other": "String"}
    table = "bench.events"

    def open(self):
        from chdb import session

        self.connection = session.Session(self.folder)
        self.connection.query("SET use_query_cache = 0")
        self.connection.query("SET use_query_condition_cache = 0")

    def close(self):
        self.connection.close()

    def bucket(self, width):
        length = width[1] * 60_000
        return f"intDiv(timestamp, {length}) * {length}"

    def contains(self, label, word):
        return f"position({self.name(label)}, '{word}') > 0"

    def distinct(self, label):
        return f"uniqExact({self.name(label)})"

    def quantiles(self, label, levels):
        column, asked = self.name(label), ", ".join(map(str, levels))
        return (
            f"SELECT entity, count() AS n, quantilesExactInclusive({asked})({column}) AS q FROM {self.table} WHERE "
            f"event_type = 'http.request' AND {column} IS NOT NULL GROUP BY entity ORDER BY n DESC, entity LIMIT 10")

    def ask(self, sql):
        lines = bytes(self.connection.query(sql, "JSONCompactEachRowWithNames").bytes()).splitlines()
        names, *rows = map(loads, lines)
        if names[-1] == "q":
            rows = [[*row[:-1], *row[-1]] for row in rows]
        return names, rows

    def load(self):
        inner, source, taken = [], [], []
        for label, facts in self.labels.items():
            kind = "String" if facts["kind"] in ("mixed", "other") else self.types[facts["kind"]]
            source.append(f"`{label}` Nullable({kind})")
        for column, label, kind in columns(self.labels):
            short = kind == "str" and self.labels[label]["distinct"] < 100_000
            inner.append(
                f"`{column}` " + ("LowCardinality(Nullable(String))" if short else f"Nullable({self.types[kind]})"))
            element = f"tupleElement(labels, '{label}')"
            if column.endswith("__text"):
                element = f"if(isNull(toInt64OrNull({element})), {element}, NULL)"
            elif self.labels[label]["kind"] == "mixed":
                element = f"toInt64OrNull({element})"
            taken.append(element)
        fixed = ["event_id UUID", "entity LowCardinality(String)", "event_type LowCardinality(String)"]
        fixed.append("timestamp Int64 CODEC(Delta, LZ4)")
        run = self.connection.query
        run("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
        run(
            f"CREATE TABLE {self.table} ({', '.join(fixed + inner)}) ENGINE = MergeTree "
            "ORDER BY (entity, event_type, timestamp)")
        layout = "event_id UUID, entity String, event_type String, timestamp Int64, labels Tuple("
        layout = (layout + ", ".join(source) + ")").replace("'", "''")
        run(
            f"INSERT INTO {self.table} SELECT {', '.join(FIXED + taken)} "
            f"FROM file('{self.plan['file']}', 'JSONEachRow', '{layout}')")
        run(f"OPTIMIZE TABLE {self.table} FINAL")

    def export(self, entity, target):
        self.connection.query(
            f"INSERT INTO FUNCTION file('{target}', 'JSONEachRow') SELECT * FROM {self.table} "
            f"WHERE entity = {self.text(entity)} ORDER BY timestamp SETTINGS engine_file_truncate_on_insert = 1")


PEERS = {
    "duckdb-encrypted": EncryptedDuck, "duckdb": Duck, "chdb": Click, "sqlite": Lite, "sqlcipher": EncryptedLite,
}  # fmt: skip


# ---------------------------------------------------------------- stages


def load(peer):
    start = time.perf_counter()
    peer.open()
    peer.load()
    seconds = time.perf_counter() - start
    count = peer.ask(f"SELECT count(*) FROM {peer.table}")[1][0][0]
    peer.close()
    size = sum(
        os.path.getsize(path) for path in glob.glob(f"{peer.folder}/**", recursive=True) if os.path.isfile(path))
    return {"seconds": seconds, "events": count, "bytes": size}


def ask(peer, number, target):
    """Answers once, untimed; then hot, one after another in this process; then cold, opening before each."""
    variations, budget = peer.plan["variations"][str(number)], peer.plan["budget"]
    peer.open()
    answers = []
    for index, values in enumerate(variations):
        answers.append(peer.answer(number, values, f"{target}-{index}.ndjson"))
    scratch = f"{target}-scratch.ndjson"
    hot, cold, opening = [], [], []
    for values in reversed(variations):
        start = time.perf_counter()
        peer.answer(number, values, scratch)
        hot.append(time.perf_counter() - start)
        if sum(hot) > budget:
            break
    peer.close()
    for values in variations:
        start = time.perf_counter()
        peer.open()
        opened = time.perf_counter()
        peer.answer(number, values, scratch)
        cold.append(time.perf_counter() - start)
        opening.append(opened - start)
        peer.close()
        if sum(cold) > budget:
            break
    times = {"hot": hot, "cold": cold, "open": opening}
    return {"answers": answers, **{name: [value * 1000 for value in list] for name, list in times.items()}}


def main():
    name, stage, plan, folder, *rest = sys.argv[1:]
    with open(plan, encoding="utf-8") as file:
        peer = PEERS[name](json.load(file), folder)
    if stage == "load":
        result = load(peer)
    elif stage == "ask":
        result = ask(peer, int(rest[0]), rest[1])
    else:
        peer.open()
        result = peer.answer(int(rest[0]), peer.plan["variations"][rest[0]][0], rest[1] + ".ndjson")
        peer.close()
    sys.stdout.buffer.write(json.dumps(result, default=str).encode() + b"\n")


if __name__ == "__main__":
    main()
