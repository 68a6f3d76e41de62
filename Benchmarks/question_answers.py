"""Brings the answers of all stores into one form and says whether two of them agree.

Events become (id, entity, type, timestamp, attributes), however a store lays them out: labels in columns or as JSON,
absent ones as nulls or not at all, booleans as such or as 0 and 1. Doubles agree within 1e-9 of the larger one.
"""

import hashlib
import json
import math

FIXED = {"event_id": "id", "event_type": "type", "id": "id", "type": "type", "entity": "entity", "timestamp": "timestamp"}
IGNORED = {"sequence", "received"}
TOLERANCE = 1e-9


def value(found):
    """A number, a text; what is neither, as text."""
    if isinstance(found, bool):
        return int(found)
    if isinstance(found, float):
        return int(found) if found.is_integer() and abs(found) < 2**53 else found
    if isinstance(found, (list, dict)):
        return json.dumps(found, separators=(",", ":"), ensure_ascii=False)
    return found if found is None or isinstance(found, (int, str)) else str(found)


def event(fields):
    """One event from a store's row or line, given as a dictionary."""
    fixed, attributes = {}, {}
    for name, found in fields.items():
        if name in FIXED:
            fixed[FIXED[name]] = value(found)
        elif name in ("labels", "attributes"):
            attributes.update(json.loads(found) if isinstance(found, str) else found or {})
        elif name not in IGNORED and found is not None:
            attributes[name.removesuffix("__text")] = found
    kept = sorted([name, value(found)] for name, found in attributes.items() if found is not None)
    return [str(fixed["id"]).lower(), fixed["entity"], fixed["type"], fixed["timestamp"], kept]


def events(answer):
    names = answer["columns"]
    return [event(dict(zip(names, row))) for row in answer["rows"]]


def export(path):
    """Of an exported file: how many events, and a fingerprint that does not depend on their order."""
    count, total = 0, 0
    with open(path, "rb") as file:
        for line in file:
            text = json.dumps(event(json.loads(line))).encode()
            total = (total + int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")) % 2**128
            count += 1
    return [[count, f"{total:032x}"]]


def normal(number, answer):
    if number in (5, 12):
        return events(answer)
    if number == 13:
        return answer["rows"]
    return [[value(field) for field in row] for row in answer["rows"]]


def same(left, right):
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right or math.isclose(left, right, rel_tol=TOLERANCE)
    return left == right


def difference(number, left, right):
    """What the two normal answers to a question do not agree in; `None` when they do."""
    if len(left) != len(right):
        return f"{len(left)} rows and {len(right)} rows"
    if number == 5:
        # Of events at the very same moment any may come first, and at the end any may be left out.
        if [row[3] for row in left] != [row[3] for row in right]:
            return "rows of different times"
        least = left[-1][3] if left else 0
        left, right = (sorted(row for row in rows if row[3] > least) for rows in (left, right))
    for index, (one, other) in enumerate(zip(left, right)):
        if len(one) != len(other) or not all(map(same, one, other)):
            return f"row {index + 1}: {shortened(one)} and {shortened(other)}"
    return None


def shortened(row):
    text = json.dumps(row, ensure_ascii=False)
    return text if len(text) < 300 else text[:300] + " …"
