#!/usr/bin/env python3
"""`make bench-micro`: runs the micro benchmarks of Benchmarks/Micro and checks their counts.

    python3 Benchmarks/micro.py             checks against Benchmarks/Micro/Thresholds; exit code 1 when a count grew
    python3 Benchmarks/micro.py --update    accepts what is measured as the new thresholds
    python3 Benchmarks/micro.py --run       only shows it; what follows goes to `swift package benchmark`

Counts of allocations and retains do not depend on the machine; times are shown and not checked.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Outside of the package's own folder, where formatting and tidiness of the sources are checked.
SCRATCH = HERE.parent / ".build" / "micro"
SHRANK = "error: benchmarkThresholdImprovement"


def benchmark(*arguments):
    command = ["swift", "package", "--package-path", str(HERE / "Micro"), "--scratch-path", str(SCRATCH)]
    command += ["--allow-writing-to-package-directory", "benchmark", *arguments, "--no-progress"]
    process = subprocess.Popen(command, cwd=HERE / "Micro", stderr=subprocess.PIPE, text=True)
    # SwiftPM has one exit code for all that can be wrong; what it was stands among the messages.
    shrank = False
    for line in process.stderr:
        sys.stderr.write(line)
        shrank = shrank or line.startswith(SHRANK)
    return 0 if process.wait() == 0 else SHRANK if shrank else 1


def main():
    asked = sys.argv[1:]
    if asked[:1] == ["--run"]:
        return benchmark(*asked[1:])
    if asked[:1] == ["--update"]:
        return benchmark("thresholds", "update", *asked[1:])
    code = benchmark("thresholds", "check", *asked)
    if code == SHRANK:
        print("some counts are lower than their thresholds: `make bench-micro ARGS=--update` keeps it so", file=sys.stderr)
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
