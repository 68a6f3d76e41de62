#!/usr/bin/env python3
"""What the preset dictionary of small packs is worth (docs/decisions/0002-preset-dictionary.md).

    python3 Benchmarks/measure_preset.py FILE.ndjson [FILE.ndjson.zst ...]

Cuts the string values of each (entity, attribute) of the input, in order of time, into packs of 1 to 64 KiB as a
segment's string pack holds them (distinct values once, lengths beside the bytes), and compresses each pack with LZ4,
fast (1) and HC (12), with and without the dictionary of Sources/Segments/PresetDictionary.swift. A pack that does not
shrink by a tenth counts as it is. Needs liblz4; no Python packages.
"""

import argparse
import collections
import ctypes
import ctypes.util
import io
import json
import pathlib
import re
import subprocess
import sys
import time

SIZES = [1, 2, 4, 8, 16, 32, 64]


def preset_bytes():
    """The dictionary as the Swift source spells it: a multi-line literal whose lines end in a backslash."""
    source = pathlib.Path(__file__).resolve().parent.parent / "Sources/Segments/PresetDictionary.swift"
    body = re.search(r'words = """\n(.*?)\n\s*"""', source.read_text("utf-8"), re.S).group(1)
    text = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^ {8}", "", body))
    return text.encode()


class LZ4:
    def __init__(self):
        name = ctypes.util.find_library("lz4")
        if not name:
            sys.exit("liblz4 is not there")
        self.lib = ctypes.CDLL(name)
        for function in ("LZ4_createStream", "LZ4_createStreamHC"):
            getattr(self.lib, function).restype = ctypes.c_void_p
        self.fast = ctypes.c_void_p(self.lib.LZ4_createStream())
        self.high = ctypes.c_void_p(self.lib.LZ4_createStreamHC())

    def size(self, pack, preset, high):
        room = ctypes.create_string_buffer(len(pack) + len(pack) // 200 + 64)
        if high:
            self.lib.LZ4_resetStreamHC_fast(self.high, 12)
            if preset:
                self.lib.LZ4_loadDictHC(self.high, preset, len(preset))
            written = self.lib.LZ4_compress_HC_continue(self.high, pack, room, len(pack), len(room))
        else:
            self.lib.LZ4_loadDict(self.fast, preset or None, len(preset))
            written = self.lib.LZ4_compress_fast_continue(self.fast, pack, room, len(pack), len(room), 1)
        return written if 0 < written <= len(pack) - len(pack) // 10 else len(pack)


def lines(path):
    if str(path).endswith(".zst"):
        process = subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE)
        return io.TextIOWrapper(process.stdout, "utf-8")
    return open(path, encoding="utf-8")


def columns(path, limit):
    found = collections.defaultdict(list)
    for number, line in enumerate(lines(path)):
        if number >= limit:
            break
        event = json.loads(line)
        for name, value in event.get("labels", {}).items():
            if isinstance(value, str):
                found[event["entity"], name].append(value.encode())
    return found


def packs(values, size):
    """Packs of about `size` bytes: lengths, then the distinct values one after another."""
    seen, chosen, total = set(), [], 0
    for value in values:
        if value in seen:
            continue
        seen.add(value)
        chosen.append(value)
        total += len(value) + 2
        if total >= size:
            yield b"".join(len(v).to_bytes(2, "little") for v in chosen) + b"".join(chosen)
            seen, chosen, total = set(), [], 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--events", type=int, default=100_000, help="events read of each file (default 100000)")
    options = parser.parse_args()
    preset, lz4 = preset_bytes(), LZ4()
    print(f"dictionary: {len(preset)} bytes\n")
    print("| file | pack KiB | packs | raw | LZ4 | with preset | HC | HC with preset |\n|---|---|---|---|---|---|---|---|")
    for path in options.files:
        found = columns(path, options.events)
        for kib in SIZES:
            made = [pack for values in found.values() for pack in packs(values, kib * 1024)]
            if len(made) < 5:
                continue
            raw = sum(map(len, made))
            shares = []
            for high in (False, True):
                for dictionary in (b"", preset):
                    shares.append(sum(lz4.size(pack, dictionary, high) for pack in made) / raw)
            cells = " | ".join(f"{share * 100:.1f} %" for share in shares)
            print(f"| {pathlib.Path(path).name.split('.')[0]} | {kib} | {len(made):,} | {raw:,} | {cells} |")
    cost(lz4, preset)


def cost(lz4, preset):
    rounds = 20_000
    start = time.perf_counter()
    for _ in range(rounds):
        lz4.lib.LZ4_loadDict(lz4.fast, preset, len(preset))
    print(f"\nloading the dictionary anew: {(time.perf_counter() - start) / rounds * 1e6:.1f} µs")


if __name__ == "__main__":
    main()
