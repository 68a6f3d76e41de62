#!/usr/bin/env python3
"""Makes event lines to measure with, or says what is in a file of them.

    python3 Benchmarks/make_input.py --events 1000000 --out events.ndjson
    python3 Benchmarks/make_input.py --describe events.ndjson[.gz|.zst]

Needs nothing but Python. Only `random.random()` of a seeded generator is drawn from, whose sequence Python keeps from
release to release: the same options give the same bytes everywhere.

The distribution
  * Sites: --entities of them; site number r has a share of the traffic in proportion to 1 / r (Zipf), so a few are
    busy and most are quiet. Each has 200 paths of its own and a typical speed, and all share 24 user agents.
  * Time: --days days from 2026-09-01, in order of arrival. Every event happened up to 5 s before it arrived, so
    neighbours are slightly out of order; 1 % are late by 2 minutes to 6 hours.
  * Repeats: 0.1 % of the lines are one of the 10,000 lines before, byte for byte.
  * Types: 70 % http.request (8 labels), 8 % rest.request, 8 % cron.run, 6 % auth.attempt, 5 % php.warning,
    3 % mail.sent. Paths, agents, hooks and files are Zipf too; durations are log-normal, near enough.
  * event_id is a random version 4 UUID; addresses are networks of private use and documentation, last byte 0.
"""

import argparse
import collections
import datetime
import gzip
import io
import json
import math
import random
import subprocess
import sys

START_MS = 1_788_220_800_000  # 2026-09-01T00:00Z
DAY_MS = 86_400_000
WORDS = (
    "news shop cart garden recipe winter summer about contact team travel photo market river school guide update "
    "music event gallery history letter museum kitchen forest island village story season product archive press"
).split()
HOOKS = "version_check queue_runner cache_sweep feed_fetch mail_queue backup_step session_cleanup index_posts".split()
FILES = "core/query.php theme/header.php plugin/forms/send.php plugin/gallery/view.php plugin/shop/tax.php".split()
AGENTS = [
    f"Mozilla/5.0 ({system}) {engine}"
    for system in ("Windows NT 10.0; Win64; x64", "X11; Linux x86_64", "Macintosh; Intel Mac OS X 10_15_7",
                   "iPhone; CPU iPhone OS 18_1 like Mac OS X", "Linux; Android 15; Pixel 9", "compatible; ExampleBot/1.2")
    for engine in ("AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                   "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/604.1",
                   "Gecko/20100101 Firefox/132.0", "AppleWebKit/537.36 Chrome/129.0.0.0 Mobile Safari/537.36")
]  # fmt: skip


class Maker:
    def __init__(self, entities, days, seed):
        self.draw = random.Random(seed).random
        self.days = days
        self.sites = [f"site-{number + 1:04}.example" for number in range(entities)]
        self.zipf = {}
        self.speed = [30 + self.draw() * 300 for _ in self.sites]
        self.paths = [[self.path() for _ in range(200)] for _ in self.sites]

    def rank(self, count):
        """A number below `count`, number r in proportion to 1 / (r + 1)."""
        edges = self.zipf.get(count)
        if edges is None:
            total, edges = 0.0, []
            for number in range(count):
                total += 1 / (number + 1)
                edges.append(total)
            self.zipf[count] = edges
        wanted, low, high = self.draw() * edges[-1], 0, count - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if edges[middle] < wanted else (low, middle)
        return low

    def below(self, count):
        return int(self.draw() * count)

    def path(self):
        words = [WORDS[self.below(len(WORDS))] for _ in range(1 + self.below(3))]
        return "/" + "/".join(words) + (f"-{self.below(900)}/" if self.draw() < 0.6 else "/")

    def identifier(self):
        high, low = int(self.draw() * 2**52), int(self.draw() * 2**52)
        middle = int(self.draw() * 2**20)
        text = f"{high:013x}{middle:05x}{low:013x}"[:31]
        return f"{text[:8]}-{text[8:12]}-4{text[12:15]}-{'89ab'[self.below(4)]}{text[15:18]}-{text[18:30]}"

    def duration(self, median):
        return max(1, int(median * math.exp((self.draw() + self.draw() + self.draw() - 1.5) * 1.6)))

    def network(self):
        return f"{('10.20', '172.16', '198.51', '203.0')[self.below(4)]}.{self.below(250)}.0"

    def labels(self, site):
        part = self.draw()
        if part < 0.70:
            return "http.request", {
                "method": "GET" if self.draw() < 0.93 else "POST", "path": self.paths[site][self.rank(200)],
                "status": (200, 200, 200, 200, 200, 200, 301, 404, 304, 500)[self.rank(10)],
                "duration_ms": self.duration(self.speed[site]), "bytes": self.duration(12_000),
                "logged_in": self.draw() < 0.05, "user_agent": AGENTS[self.rank(len(AGENTS))],
                "ip_anon": self.network()}  # fmt: skip
        if part < 0.78:
            return "rest.request", {
                "method": "GET", "route": "/api/v2/" + WORDS[self.rank(12)], "status": 200 if self.draw() < 0.96 else 401,
                "duration_ms": self.duration(40), "authenticated": self.draw() < 0.4}  # fmt: skip
        if part < 0.86:
            return "cron.run", {
                "hook": HOOKS[self.rank(len(HOOKS))], "duration_ms": self.duration(180), "ok": self.draw() < 0.99}
        if part < 0.92:
            ok = self.draw() < 0.3
            return "auth.attempt", {
                "success": ok, "reason": "" if ok else "wrong_password", "username_hash": f"{self.below(1 << 32):016x}",
                "ip_anon": self.network()}  # fmt: skip
        if part < 0.97:
            return "php.warning", {"file": FILES[self.rank(len(FILES))], "line": 1 + self.rank(400)}
        return "mail.sent", {"template": WORDS[self.rank(8)], "ok": self.draw() < 0.98, "seconds": self.below(900) / 100}

    def line(self, arrival_ms):
        ago = 120_000 * 180 ** self.draw() if self.draw() < 0.01 else self.draw() * 5000
        site = self.rank(len(self.sites))
        kind, labels = self.labels(site)
        event = {
            "event_id": self.identifier(), "entity": self.sites[site], "event_type": kind,
            "timestamp": arrival_ms - int(ago), "labels": labels}  # fmt: skip
        return json.dumps(event, separators=(",", ":"))

    def write(self, count, out):
        recent, step = [], self.days * DAY_MS / count
        for number in range(count):
            if recent and self.draw() < 0.001:
                text = recent[self.below(len(recent))]
            else:
                text = self.line(START_MS + int(number * step))
            if len(recent) < 10_000:
                recent.append(text)
            else:
                recent[number % 10_000] = text
            out.write(text + "\n")


def reader(path):
    if path.endswith(".zst"):
        return io.TextIOWrapper(subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE).stdout, "utf-8")
    return gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")


def describe(path):
    """Lines, distinct (entity, UTC day, id), and the entity with the most events."""
    distinct, lines, size = set(), 0, 0
    entities = collections.Counter()
    for line in reader(path):
        event = json.loads(line)
        lines, size = lines + 1, size + len(line.encode())
        key = (event["entity"], event["timestamp"] // DAY_MS, event.get("event_id") or event.get("id") or lines)
        distinct.add(hash(key))
        entities[event["entity"]] += 1
    return {
        "lines": lines, "bytes": size, "distinct": len(distinct), "entities": len(entities),
        "busiest": entities.most_common(1)[0][0] if entities else ""}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="lines, repeats included (default 1000000)")
    parser.add_argument("--entities", type=int, default=500)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="-", help="file, or - for standard output")
    parser.add_argument("--describe", metavar="FILE", help="print what is in a file, as JSON")
    options = parser.parse_args()
    if options.describe:
        print(json.dumps(describe(options.describe)))
        return
    maker = Maker(options.entities, options.days, options.seed)
    if options.out == "-":
        maker.write(options.events, sys.stdout)
        return
    with open(options.out, "w", encoding="utf-8") as out:
        maker.write(options.events, out)
    end = datetime.datetime.fromtimestamp(START_MS / 1000 + options.days * 86_400, datetime.timezone.utc)
    print(f"{options.events} events up to {end:%Y-%m-%d} in {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
