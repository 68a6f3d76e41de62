"""What both this store's and the peers' measurements need: processes with their peak memory, sizes, the machine."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time


class Failed(Exception):
    """A measured process ended with another code than it should."""


def run(arguments, environment=None, expect=(0,)):
    """Runs a process to its end: (seconds, peak resident bytes, standard output).

    The peak is the kernel's `ru_maxrss`. It starts from this small process, not from the measured one's zero, which
    matters only below 20 MB.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})})
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in expect:
        raise Failed(f"{' '.join(map(str, arguments))}: exit code {process.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * scale, output.decode("utf-8", "replace")


def bytes_under(path):
    """Lengths of all files under a directory, or of a file and what lies beside it under its name."""
    path = str(path)
    if os.path.isdir(path):
        return sum(
            os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names
            if os.path.isfile(os.path.join(folder, name)))
    folder, base = os.path.split(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder) if name.startswith(base))


def median(values):
    return statistics.median(values)


def last_json(output):
    """The object on the last line of an output."""
    return json.loads(output.strip().splitlines()[-1])


def sync_rate(folder, seconds=1.0):
    """Appends of 4 KiB, each synced, a second: what the disk allows a durable import."""
    path = os.path.join(folder, "sync-rate")
    data, count, start = b"x" * 4096, 0, time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        while time.perf_counter() - start < seconds:
            file.write(data)
            os.fdatasync(file.fileno()) if hasattr(os, "fdatasync") else os.fsync(file.fileno())
            count += 1
    rate = count / (time.perf_counter() - start)
    os.unlink(path)
    return round(rate)


def describe(folder):
    """The machine, as far as it shows in figures."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model, "cores": os.cpu_count(), "memoryGB": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}", "python": platform.python_version(),
        "syncsPerSecond": sync_rate(folder), "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }  # fmt: skip
