"""The fourteen questions of `make bench`: their parameters, drawn from a file, and their SQL in each store's dialect.

    python3 question_set.py FILE DISTINCT     copies the distinct events of FILE and prints what is in them, as JSON

Each question has seven variations: another busy entity, day, threshold, pattern, id … with about as much to do. The
values come from the file itself, so that any file of site events will do. Stores that keep repeats would give other
answers than one that removes them, so everybody loads the copy without repeats.
"""

import collections
import datetime
import json
import sys

try:
    from orjson import loads
except ImportError:
    from json import loads

HOUR, DAY = 3_600_000, 86_400_000
VARIATIONS = 7
TITLES = {
    1: "count of all", 2: "count by type", 3: "count by entity, top 20", 4: "an entity's day, count by hour",
    5: "an entity's last 50 events, full rows", 6: "failed logins of an entity's week by address, top 10",
    7: "requests with status ≥ 500 by entity, top 10", 8: "three quantiles of duration, 10 busiest entities",
    9: "mean and greatest duration by hour", 10: "distinct user names by day", 11: "path contains a word, by entity, top 10",
    12: "one event by id", 13: "export of an entity as NDJSON", 14: "top 20 paths with a status",
}  # fmt: skip
WIDTHS = {
    "hours": [("1 hour", 60), ("30 minutes", 30), ("2 hours", 120), ("20 minutes", 20), ("3 hours", 180),
              ("15 minutes", 15), ("4 hours", 240)],
    "days": [("1 day", 1440), ("12 hours", 720), ("8 hours", 480), ("6 hours", 360), ("4 hours", 240), ("3 hours", 180),
             ("2 hours", 120)],
}  # fmt: skip
QUANTILES = [(0.5, 0.95, 0.99), (0.5, 0.9, 0.99), (0.25, 0.95, 0.99), (0.5, 0.95, 0.999), (0.1, 0.9, 0.99),
             (0.5, 0.75, 0.95), (0.4, 0.8, 0.98)]  # fmt: skip


# ---------------------------------------------------------------- what is in a file


class Scan:
    """Counts what the parameters are drawn from, and what kind of values each label has."""

    def __init__(self):
        self.lines, self.seen = 0, set()
        self.entities, self.statuses, self.words, self.logins = (collections.Counter() for _ in range(4))
        self.kinds, self.counts = collections.defaultdict(set), collections.Counter()
        self.distinct = collections.defaultdict(set)
        self.ids, self.first, self.last = [], None, None

    def is_new(self, event):
        """Identity is (entity, UTC day, id); the first one counts, as the store has it."""
        self.lines += 1
        key = hash((event["entity"], event["timestamp"] // DAY, event["event_id"]))
        if key in self.seen:
            return False
        self.seen.add(key)
        return True

    def take(self, event):
        timestamp, labels = event["timestamp"], event.get("labels", {})
        self.first = timestamp if self.first is None else min(self.first, timestamp)
        self.last = timestamp if self.last is None else max(self.last, timestamp)
        self.entities[event["entity"]] += 1
        if len(self.seen) % 997 == 1:
            self.ids.append(event["event_id"])
        for name, value in labels.items():
            self.kinds[name].add(type(value).__name__)
            self.counts[name] += 1
            values = self.distinct[name]
            if isinstance(value, str) and len(values) <= 100_000:
                values.add(value)
        if event["event_type"] == "auth.attempt":
            for name, value in failures(labels):
                self.logins[name, value, event["entity"]] += 1
        if "path" in labels and "status" in labels:
            self.statuses[labels["status"]] += 1
            for word in set(labels["path"].lower().replace(".", "/").split("/")):
                if 4 < len(word) < 20 and word.replace("-", "").isalnum():
                    self.words[word] += 1

    def schema(self):
        """Labels with the kind of column that holds all their values; `mixed` needs one of numbers and one of text."""
        result = {}
        for name, kinds in sorted(self.kinds.items()):
            kinds = kinds - {"NoneType"}
            if kinds <= {"int"}:
                kind = "int"
            elif kinds <= {"int", "float"}:
                kind = "float"
            elif kinds == {"bool"} or kinds == {"str"}:
                kind = kinds.pop()
            else:
                kind = "mixed" if kinds == {"int", "str"} else "other"
            result[name] = {"kind": kind, "events": self.counts[name], "distinct": len(self.distinct[name])}
        return result

    def facts(self):
        return {
            "lines": self.lines, "events": len(self.seen), "entities": len(self.entities), "first": self.first,
            "last": self.last, "labels": self.schema(), "variations": self.variations()}  # fmt: skip

    # ------------------------------------------------------------ parameters

    def variations(self):
        """By question, seven times its parameters."""
        ranked = [name for name, _ in sorted(self.entities.items(), key=lambda item: (-item[1], item[0]))]
        busy = repeated(ranked[2:9] or ranked)
        first_day, last_day = self.first // DAY, self.last // DAY
        days = [first_day + (index + (last_day - first_day) // 2) % (last_day - first_day + 1) for index in range(7)]
        failure = self.failure()
        ranked.sort(key=lambda entity: -self.logins[*failure, entity])
        tried = repeated(ranked[:VARIATIONS])
        words = [word for word, _ in self.words.most_common(40) if word.isalpha() or "-" in word]
        words = repeated(["wp-login"] * (self.words["wp-login"] > 0) + [word for word in words if word != "wp-login"])
        statuses = [status for status, _ in self.statuses.most_common() if isinstance(status, int) and status != 404]
        statuses = repeated([404] * (self.statuses[404] > 0) + statuses)
        ids = repeated(self.ids[:: max(1, len(self.ids) // VARIATIONS)])
        result = {number: [] for number in TITLES}
        for index, entity in enumerate(busy):
            day = days[index] * DAY
            end = (last_day + 1) * DAY - index * 6 * HOUR
            result[1].append({})
            result[2].append({})
            result[3].append({"limit": 20 + index})
            result[4].append({"entity": entity, "from": day, "to": day + DAY})
            result[5].append({"entity": entity, "limit": 50 + index})
            result[6].append({"entity": tried[index], "failure": failure, "from": end - 7 * DAY, "to": end})
            result[7].append({"status": (500, 501, 499, 502, 498, 503, 497)[index]})
            result[8].append({"quantiles": QUANTILES[index]})
            result[9].append({"width": WIDTHS["hours"][index]})
            result[10].append({"width": WIDTHS["days"][index]})
            result[11].append({"word": words[index]})
            result[12].append({"id": ids[index]})
            result[13].append({"entity": entity})
            result[14].append({"status": statuses[index]})
        return result

    def failure(self):
        """The label and value that say "failed": the commonest of those in use."""
        totals = collections.Counter()
        for (name, value, _), count in self.logins.items():
            totals[name, value] += count
        return totals.most_common(1)[0][0] if totals else ("result", "failed")


def failures(labels):
    for name in ("result", "outcome", "success"):
        value = labels.get(name)
        if value in ("failed", "fail", "failure", "denied") or value is False:
            yield name, value


def repeated(values):
    """Seven of them, starting over when there are fewer."""
    if not values:
        sys.exit("the file has no values to ask for")
    return [values[index % len(values)] for index in range(VARIATIONS)]


# ---------------------------------------------------------------- SQL


class Dialect:
    """This store's SQL; the other dialects are what its peers want otherwise."""

    table, id, type = "events", "id", "type"
    row = "*"

    def name(self, label):
        return label

    def bucket(self, width):
        return f"time_bucket('{width[0]}', timestamp)"

    def contains(self, label, word):
        return f"{self.name(label)} LIKE '%{word}%'"

    def distinct(self, label):
        return f"count(DISTINCT {self.name(label)})"

    def text(self, value):
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        return str(int(value))

    def day(self, timestamp):
        """A moment; here as people write it."""
        moment = datetime.datetime.fromtimestamp(timestamp / 1000, datetime.timezone.utc)
        return f"'{moment:%Y-%m-%dT%H:%M:%SZ}'"

    def quantiles(self, label, levels):
        asked = ", ".join(f"quantile({self.name(label)}, {level})" for level in levels)
        return (
            f"SELECT entity, count(*) AS n, {asked} FROM {self.table} WHERE {self.type} = 'http.request' "
            f"AND {self.name(label)} IS NOT NULL GROUP BY entity ORDER BY n DESC, entity LIMIT 10")


def question_sql(dialect, number, values):
    """The text of a question; `None` for the export, which is no SELECT everywhere."""
    table, kind, name = dialect.table, dialect.type, dialect.name
    entity, text = dialect.text(values.get("entity", "")), dialect.text
    requests = f"{kind} = 'http.request'"

    def top(what, where, limit):
        return (
            f"SELECT {what}, count(*) AS n FROM {table}{where} GROUP BY {what} ORDER BY n DESC, {what} LIMIT {limit}")

    def span():
        return f"timestamp >= {dialect.day(values['from'])} AND timestamp < {dialect.day(values['to'])}"

    if number == 1:
        return f"SELECT count(*) FROM {table}"
    if number == 2:
        return f"SELECT {kind}, count(*) AS n FROM {table} GROUP BY {kind} ORDER BY n DESC, {kind}"
    if number == 3:
        return top("entity", "", values["limit"])
    if number == 4:
        return (
            f"SELECT {dialect.bucket(('1 hour', 60))} AS hour, count(*) FROM {table} "
            f"WHERE entity = {entity} AND {span()} GROUP BY hour ORDER BY hour")
    if number == 5:
        return (
            f"SELECT {dialect.row} FROM {table} WHERE entity = {entity} "
            f"ORDER BY timestamp DESC LIMIT {values['limit']}")
    if number == 6:
        label, failed = values["failure"]
        where = (
            f" WHERE entity = {entity} AND {kind} = 'auth.attempt' AND {name(label)} = {text(failed)} "
            f"AND {name('ip_anon')} IS NOT NULL AND {span()}")
        return top(name("ip_anon"), where, 10)
    if number == 7:
        return top("entity", f" WHERE {requests} AND {name('status')} >= {values['status']}", 10)
    if number == 8:
        return dialect.quantiles("duration_ms", values["quantiles"])
    if number == 9:
        duration = name("duration_ms")
        return (
            f"SELECT {dialect.bucket(values['width'])} AS hour, avg({duration}), max({duration}) FROM {table} "
            f"WHERE {requests} AND {duration} IS NOT NULL GROUP BY hour ORDER BY hour")
    if number == 10:
        return (
            f"SELECT {dialect.bucket(values['width'])} AS day, {dialect.distinct('username_hash')} FROM {table} "
            f"WHERE {kind} = 'auth.attempt' AND {name('username_hash')} IS NOT NULL GROUP BY day ORDER BY day")
    if number == 11:
        return top("entity", f" WHERE {dialect.contains('path', values['word'])}", 10)
    if number == 12:
        return f"SELECT {dialect.row} FROM {table} WHERE {dialect.id} = {text(values['id'])}"
    if number == 14:
        return top(name("path"), f" WHERE {name('status')} = {values['status']} AND {name('path')} IS NOT NULL", 20)
    return None


def main():
    scan = Scan()
    with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
        for line in source:
            event = loads(line)
            if scan.is_new(event):
                scan.take(event)
                target.write(line)
    print(json.dumps(scan.facts()))


if __name__ == "__main__":
    main()
