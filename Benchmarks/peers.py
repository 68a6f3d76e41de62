#!/usr/bin/env python3
"""Other stores on the same file: DuckDB (plain and encrypted), SQLCipher, SQLite, ClickHouse as chdb.

Called by run.py as a process for each peer and stage, in a virtual environment that has the peer:

    python peers.py PEER bulk|durable FILE DIRECTORY BATCH

and prints {"seconds", "events", "bytes"} as its last line. What a careful user would do: typed columns for the labels
of the file (64-bit integers, doubles, booleans; text for the rest), one transaction for bulk and one of BATCH events
for durable, a sync a commit, an index on (entity, timestamp) where there are no zone maps, space given back before it
is counted. No peer removes duplicates.
"""

import glob
import itertools
import json
import os
import sys
import time

PACKAGES = {
    "duckdb": ["duckdb"],
    "duckdb-encrypted": ["duckdb==1.5.*", "duckdb-extension-httpfs"],
    "sqlcipher": ["sqlcipher3", "orjson"],
    "sqlite": ["orjson"],
    "chdb": ["chdb", "orjson"],
}
KEY = "0f" * 32
FIXED = ["event_id", "entity", "event_type", "timestamp"]


def schema(path, lines=100_000):
    """Labels of the file and the kind that holds all their values: int, float, bool or str."""
    kinds = {}
    with open(path, encoding="utf-8") as file:
        for line in itertools.islice(file, lines):
            for name, value in json.loads(line).get("labels", {}).items():
                kinds.setdefault(name, set()).add(type(value).__name__)
    result = {}
    for name, found in sorted(kinds.items()):
        found -= {"NoneType"}
        if found <= {"int"}:
            result[name] = "int"
        elif found <= {"int", "float"}:
            result[name] = "float"
        else:
            result[name] = "bool" if found == {"bool"} else "str"
    return result


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def batches(path, count):
    with open(path, encoding="utf-8") as file:
        while lines := list(itertools.islice(file, count)):
            yield lines


def rows(lines, labels):
    for line in lines:
        event = json.loads(line)
        found = event.get("labels", {})
        values = [event.get(name) for name in FIXED]
        for name, kind in labels.items():
            value = found.get(name)
            values.append(json.dumps(value) if kind == "str" and not isinstance(value, (str, type(None))) else value)
        yield values


# ---------------------------------------------------------------- DuckDB


DUCK_TYPES = {"int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "str": "VARCHAR"}


def duck_open(directory, encrypted):
    import duckdb

    connection = duckdb.connect()
    options = ""
    if encrypted:
        pattern = os.path.join(sys.prefix, "**", f"v{duckdb.__version__}", "httpfs.duckdb_extension")
        for extension in glob.glob(pattern, recursive=True)[:1]:
            connection.execute(f"LOAD '{extension}'")
        options = f" (ENCRYPTION_KEY '{KEY}')"
    connection.execute(f"ATTACH '{directory}/peer.duckdb' AS store{options}")
    connection.execute("USE store")
    return connection


def duck(directory, path, stage, batch, encrypted):
    labels = schema(path)
    connection = duck_open(directory, encrypted)
    columns = ["event_id UUID", "entity VARCHAR", "event_type VARCHAR", "timestamp BIGINT"]
    columns += [f"{quoted(name)} {DUCK_TYPES[kind]}" for name, kind in labels.items()]
    connection.execute(f"CREATE TABLE events ({', '.join(columns)})")
    start = time.perf_counter()
    if stage == "bulk":
        struct = "STRUCT(" + ", ".join(f"{quoted(name)} {DUCK_TYPES[kind]}" for name, kind in labels.items()) + ")"
        taken = FIXED + [f"labels.{quoted(name)}" for name in labels]
        connection.execute(
            f"INSERT INTO events SELECT {', '.join(taken)} FROM read_json('{path}', format='newline_delimited', "
            f"columns={{event_id: 'UUID', entity: 'VARCHAR', event_type: 'VARCHAR', timestamp: 'BIGINT', "
            f"labels: '{struct}'}}) ORDER BY entity, event_type, timestamp")
        connection.execute("CHECKPOINT")
    else:
        # The quickest way in for small batches: their lines as one text, read by the engine's own JSON functions.
        keys = [f"'$.{name}'" for name in FIXED] + [f"'$.labels.\"{name}\"'" for name in labels]
        types = ["UUID", "VARCHAR", "VARCHAR", "BIGINT"] + [DUCK_TYPES[kind] for kind in labels.values()]
        taken = [f"CAST(line ->> {key} AS {kind})" for key, kind in zip(keys, types)]
        insert = f"INSERT INTO events SELECT {', '.join(taken)} FROM (SELECT unnest(?) AS line)"
        for lines in batches(path, batch):
            connection.execute(insert, [lines])
    seconds = time.perf_counter() - start
    count = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    connection.execute("CHECKPOINT")
    connection.close()
    return seconds, count


# ---------------------------------------------------------------- SQLite and SQLCipher


def lite(directory, path, stage, batch, encrypted):
    if encrypted:
        import sqlcipher3 as sqlite
    else:
        import sqlite3 as sqlite
    labels = schema(path)
    connection = sqlite.connect(f"{directory}/peer.db", isolation_level=None)
    if encrypted:
        connection.execute(f"PRAGMA key = \"x'{KEY}'\"")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -200000")
    types = {"int": "INTEGER", "float": "REAL", "bool": "INTEGER", "str": "TEXT"}
    columns = ["event_id TEXT", "entity TEXT", "event_type TEXT", "timestamp INTEGER"]
    columns += [f"{quoted(name)} {types[kind]}" for name, kind in labels.items()]
    connection.execute(f"CREATE TABLE events ({', '.join(columns)})")
    insert = f"INSERT INTO events VALUES ({', '.join('?' * len(columns))})"
    index = "CREATE INDEX by_entity ON events (entity, timestamp)"
    start = time.perf_counter()
    if stage == "bulk":
        connection.execute("BEGIN")
        for lines in batches(path, 50_000):
            connection.executemany(insert, rows(lines, labels))
        connection.execute(index)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        connection.execute(index)
        for lines in batches(path, batch):
            connection.execute("BEGIN")
            connection.executemany(insert, rows(lines, labels))
            connection.execute("COMMIT")
    seconds = time.perf_counter() - start
    count = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return seconds, count


# ---------------------------------------------------------------- ClickHouse, embedded


def click(directory, path, stage, batch):
    from chdb import session

    labels = schema(path)
    types = {"int": "Int64", "float": "Float64", "bool": "Bool", "str": "LowCardinality(String)"}
    inner = [f"`{name}` Nullable({types[kind]})" if kind != "str" else f"`{name}` LowCardinality(Nullable(String))"
             for name, kind in labels.items()]  # fmt: skip
    fixed = ["event_id UUID", "entity LowCardinality(String)", "event_type LowCardinality(String)", "timestamp Int64"]
    database = session.Session(directory)
    database.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
    database.query(
        f"CREATE TABLE bench.events ({', '.join(fixed + inner)}) ENGINE = MergeTree "
        "ORDER BY (entity, event_type, timestamp) SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
    taken = FIXED + [f"tupleElement(labels, '{name}')" for name in labels]
    source = "event_id UUID, entity String, event_type String, timestamp Int64, labels Tuple("
    source += ", ".join(
        f"`{name}` Nullable({types[kind] if kind != 'str' else 'String'})" for name, kind in labels.items()) + ")"
    insert = f"INSERT INTO bench.events SELECT {', '.join(taken)} FROM "
    start = time.perf_counter()
    if stage == "bulk":
        escaped = source.replace("'", "''")
        database.query(insert + f"file('{path}', 'JSONEachRow', '{escaped}')")
    else:
        escaped = source.replace("'", "''")
        for lines in batches(path, batch):
            text = "".join(lines).replace("\\", "\\\\").replace("'", "\\'")
            database.query(insert + f"format('JSONEachRow', '{escaped}', '{text}')")
    seconds = time.perf_counter() - start
    count = int(str(database.query("SELECT count() FROM bench.events", "CSV")).strip())
    database.query("OPTIMIZE TABLE bench.events FINAL")
    database.close()
    return seconds, count


def main():
    peer, stage, path, directory, batch = sys.argv[1:6]
    if peer.startswith("duckdb"):
        seconds, count = duck(directory, path, stage, int(batch), encrypted=peer.endswith("encrypted"))
    elif peer == "chdb":
        seconds, count = click(directory, path, stage, int(batch))
    else:
        seconds, count = lite(directory, path, stage, int(batch), encrypted=peer == "sqlcipher")
    size = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(directory) for name in names)
    print(json.dumps({"seconds": seconds, "events": count, "bytes": size}))


if __name__ == "__main__":
    main()
