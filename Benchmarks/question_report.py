"""The results of questions.py as Markdown tables and as a plot in SVG."""

import math

from question_set import TITLES

OURS, MEASURE = "eventstore", "duckdb-encrypted"
NAMES = {
    "eventstore": "this store", "duckdb-encrypted": "DuckDB encrypted", "duckdb": "DuckDB", "chdb": "chdb",
    "sqlite": "SQLite", "sqlcipher": "SQLCipher",
}  # fmt: skip


def milliseconds(value):
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def geometric_mean(values):
    values = [value for value in values if value]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def stores_of(results):
    return list(results["loads"])


def times(results, number, store, figure):
    return results["questions"].get(str(number), {}).get(store, {}).get(figure)


def ratio(results, number, store, figure):
    """How many times as fast as DuckDB encrypted."""
    own, other = (times(results, number, name, figure) for name in (store, MEASURE))
    return other / own if own and other else None


def asked(results):
    return [number for number in TITLES if str(number) in results["questions"]]


def factor(value):
    return "–" if value is None else f"{value:.1f}×" if value < 100 else f"{value:,.0f}×"


def tables(results):
    stores, facts, place = stores_of(results), results["input"], results["machine"]
    text = (
        f"{facts['events']:,} events ({facts['lines']:,} lines, {facts['bytes'] / 1e6:.0f} MB) of {facts['entities']:,} "
        f"entities, {(facts['last'] - facts['first']) / 86_400_000:.0f} days. {place['processor']}, {place['cores']} cores, "
        f"{place['memoryGB']} GB, {place['system']}, {place['date']}.\n\n")
    text += "Milliseconds, hot / cold; medians of seven variations.\n\n" + main_table(results, stores)
    text += "\nWhole processes, milliseconds (peers: Python and their driver), and peak memory in MB of the process that "
    text += "answered a question hot and cold.\n\n" + process_table(results, stores)
    loads = [
        [NAMES[store], f"{load['seconds']:.1f}", f"{load['bytes'] / 1e6:.1f}", f"{load['peak'] / 1e6:.0f}"]
        for store, load in results["loads"].items()]
    return text + "\n" + table(["loading", "s", "MB on disk", "peak MB"], loads)


def main_table(results, stores):
    compared = OURS in stores and MEASURE in stores
    header = ["question", *(NAMES[store] for store in stores)]
    header += ["ratio to DuckDB encrypted, hot / cold"] if compared else []
    rows = []
    for number in asked(results):
        row = [f"{number} {TITLES[number]}"]
        row += [
            " / ".join(milliseconds(times(results, number, store, figure)) for figure in ("hot", "cold"))
            for store in stores]
        if compared:
            row.append(" / ".join(factor(ratio(results, number, OURS, figure)) for figure in ("hot", "cold")))
        rows.append(row)
    if MEASURE in stores:
        last = ["times as fast as DuckDB encrypted, geometric mean"]
        for store in [*stores, *([OURS] if compared else [])]:
            last.append(" / ".join(
                factor(geometric_mean([ratio(results, number, store, figure) for number in asked(results)]))
                for figure in ("hot", "cold")))  # fmt: skip
        rows.append(last)
    return table(header, rows)


def process_table(results, stores):
    rows = []
    for number in asked(results):
        row = [str(number)]
        for store in stores:
            peak = times(results, number, store, "peak")
            row.append(f"{milliseconds(times(results, number, store, 'whole'))}, {peak / 1e6:.0f} MB" if peak else "–")
        rows.append(row)
    return table(["question", *(NAMES[store] for store in stores)], rows)


# ---------------------------------------------------------------- the plot


ROW, TOP, LEFT, PANEL, GAP = 30, 78, 330, 300, 64
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .small { font-size: 11px; fill: #59636e }
.title { font-weight: 600 } .grid { stroke: #d1d9e0 } .band { fill: #818b98; fill-opacity: 0.08 }
.eventstore { fill: #d1242f } .duckdb-encrypted { fill: #9a6700 } .duckdb { fill: #bf8700 } .chdb { fill: #1a7f37 }
.sqlite { fill: #0969da } .sqlcipher { fill: #8250df }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .small { fill: #9198a1 } .grid { stroke: #3d444d }
.eventstore { fill: #ff7b72 } .duckdb-encrypted { fill: #d29922 } .duckdb { fill: #f2cc60 } .chdb { fill: #3fb950 }
.sqlite { fill: #58a6ff } .sqlcipher { fill: #bc8cff } }
"""


def mark(store, x, y):
    """A dot; a diamond for this store, a square for stores that encrypt, so that colour is not all that tells."""
    if store == OURS:
        return f'<path class="{store}" d="M{x:.1f} {y - 8}l8 8l-8 8l-8 -8z"/>'
    if store in (MEASURE, "sqlcipher"):
        return f'<rect class="{store}" x="{x - 4.5:.1f}" y="{y - 4.5}" width="9" height="9"/>'
    return f'<circle class="{store}" cx="{x:.1f}" cy="{y}" r="5"/>'


def decades(results):
    values = [
        value for number in asked(results) for store in stores_of(results) for figure in ("hot", "cold")
        if (value := times(results, number, store, figure))]
    low, high = (min(values), max(values)) if values else (1, 10)
    return math.floor(math.log10(low)), max(math.floor(math.log10(low)) + 1, math.ceil(math.log10(high)))


def panel(results, figure, left, numbers, low, high):
    def place(value):
        return left + (math.log10(value) - low) / (high - low) * PANEL

    bottom = TOP + ROW * len(numbers)
    parts = [f'<text class="title" x="{left}" y="{TOP - 26}">{figure}</text>']
    for power in range(low, high + 1):
        x = place(10.0**power)
        label = f"{10.0**power:g} ms" if power < 3 else f"{10 ** (power - 3)} s"
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{bottom}"/>')
        parts.append(f'<text class="small" text-anchor="middle" x="{x:.1f}" y="{TOP - 9}">{label}</text>')
    for row, number in enumerate(numbers):
        for index, store in reversed(list(enumerate(stores_of(results)))):
            value = times(results, number, store, figure)
            if value:
                # A little apart from each other, so that equal times do not hide one another.
                parts.append(mark(store, place(value), TOP + ROW * row + 8 + 3 * index))
    return parts


def plot(results):
    """Hot and cold times of every store on a logarithmic axis, a row a question; readable on light and on dark."""
    numbers, (low, high) = asked(results), decades(results)
    width, height = LEFT + 2 * PANEL + GAP + 40, TOP + ROW * len(numbers) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Milliseconds to answer fourteen questions, hot and cold, logarithmic; left is better</title>",
        f"<style>{STYLE}</style>"]
    x = 12
    for store in stores_of(results):
        parts += [mark(store, x, 16), f'<text x="{x + 14}" y="21">{NAMES[store]}</text>']
        x += 36 + 7.4 * len(NAMES[store])
    for row, number in enumerate(numbers):
        y = TOP + ROW * row
        if row % 2 == 0:
            parts.append(f'<rect class="band" x="0" y="{y}" width="{width}" height="{ROW}"/>')
        parts.append(f'<text x="12" y="{y + ROW // 2 + 5}">{number} {short(TITLES[number])}</text>')
    for index, figure in enumerate(("hot", "cold")):
        parts += panel(results, figure, LEFT + index * (PANEL + GAP), numbers, low, high)
    return "\n".join([*parts, "</svg>"]) + "\n"


def short(title):
    title = title.replace("≥", "from")
    return title if len(title) <= 42 else title[:41].rstrip(", ") + "…"
