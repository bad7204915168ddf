"""The reports of `infill bench typing` and `infill bench speed`: self-contained HTML files for light and dark themes. Pure except for `write`."""

from __future__ import annotations

import html
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from infill.bench import charts, metrics
from infill.bench.charts import Bar, Curve, Lane
from infill.bench.machine import Machine
from infill.bench.metrics import Figures, Tally
from infill.bench.recorder import Moment
from infill.bench.speed import Speed
from infill.bench.targets import number
from infill.bench.trace import Trace
from infill.bench.typing import Comparison, Run, Wishes, middle

STYLES = {"infill": "ours", "llama-server": "theirs"}
EXCERPT_SECONDS = 30.0
CSS = """
:root { --paper: #ffffff; --ink: #1c2026; --soft: #68707c; --rule: #e3e6ea; --shade: #f2f4f7; --ours: #1f6feb; --theirs: #c2681d; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e4e7eb; --soft: #98a1ad; --rule: #2b3138; --shade: #1d2228; --ours: #6ea8ff; --theirs: #f0a35e; } }
* { box-sizing: border-box } body { margin: 0 auto; max-width: 940px; padding: 32px 24px 64px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif } h1 { font-size: 25px; margin: 0 0 4px } h2 { font-size: 19px; margin: 40px 0 8px }
h3 { font-size: 14px; margin: 24px 0 4px; color: var(--soft); font-weight: 600 } p { margin: 6px 0 } .soft { color: var(--soft); font-size: 13px }
table { border-collapse: collapse; width: 100%; margin: 12px 0; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--rule); white-space: nowrap }
th { color: var(--soft); font-weight: 600; font-size: 13px } th:first-child, td:first-child { text-align: left }
td.best { font-weight: 650 } svg { width: 100%; height: auto; display: block; margin: 4px 0 8px }
text { font: 12px system-ui, sans-serif; fill: var(--soft) }
.label { fill: var(--ink); font-weight: 600 } text.ours { fill: var(--ours) } text.theirs { fill: var(--theirs) } .middle { text-anchor: middle }
.end { text-anchor: end } .grid { stroke: var(--rule) } .curve { fill: none; stroke-width: 2 } .curve.ours { stroke: var(--ours) }
.curve.theirs { stroke: var(--theirs) } .dot.ours, .ghost.ours, .bar.ours { fill: var(--ours) }
.dot.theirs, .ghost.theirs, .bar.theirs { fill: var(--theirs) }
.pause { fill: var(--shade) } .tick { stroke: var(--soft); stroke-width: 1 } .ghost { opacity: .85 }
"""

Over = Callable[[Sequence[Run]], float]
Figure = tuple[str, Over, str, str]
"""Name, value over all runs of a side, format, and which of two values is better: `less`, `more` or none."""


def _middle(value: Callable[[Run], float]) -> Over:
    return lambda runs: middle([value(run) for run in runs])


def _percent(tally: Callable[[Sequence[Figures]], Tally]) -> Over:
    return lambda runs: 100 * tally([run.figures for run in runs]).share


ROWS: tuple[Figure, ...] = (
    ("New ghost text after the last key, median", _middle(lambda run: run.figures.latency.p50), "{:.0f} ms", "less"),
    ("... 95th percentile", _middle(lambda run: run.figures.latency.p95), "{:.0f} ms", "less"),
    ("... mean", _middle(lambda run: run.figures.latency.mean), "{:.0f} ms", "less"),
    ("In pauses of 400 ms or more, median", _middle(lambda run: run.figures.pause_latency.p50), "{:.0f} ms", "less"),
    ("... 95th percentile", _middle(lambda run: run.figures.pause_latency.p95), "{:.0f} ms", "less"),
    ("Pauses of 400 ms or more that saw a suggestion", _percent(metrics.pauses_seen), "{:.0f} %", "more"),
    ("Requests sent", _middle(lambda run: run.figures.asked), "{:.0f}", ""),
    ("... cancelled", _middle(lambda run: run.figures.cancelled), "{:.0f}", ""),
    ("... failed", _middle(lambda run: run.figures.failed), "{:.0f}", ""),
    ("Suggestions without work of the model", _middle(lambda run: run.figures.from_cache), "{:.0f}", ""),
    ("Prompt tokens evaluated while somebody waited, median", _middle(lambda run: run.figures.evaluated.p50), "{:.0f}", "less"),
    ("... mean", _middle(lambda run: run.figures.evaluated.mean), "{:.0f}", "less"),
    ("Prompt tokens kept, median", _middle(lambda run: run.figures.kept.p50), "{:.0f}", "more"),
    ("All prompt tokens evaluated, for whomever", _middle(lambda run: run.costs.tokens_evaluated), "{:,.0f}", "less"),
    ("All tokens generated", _middle(lambda run: run.costs.tokens_generated), "{:,.0f}", ""),
    ("Shown characters that were really typed next", _middle(lambda run: run.figures.worth), "{:.0f}", "more"),
    ("... share of what was shown", _percent(metrics.worth), "{:.1f} %", "more"),
    ("Acceptances", _middle(lambda run: run.figures.accepts), "{:.0f}", ""),
    ("... followed by the next suggestion at once", _percent(metrics.accepts_followed), "{:.0f} %", "more"),
    ("Characters of typing saved", _middle(lambda run: run.figures.characters_saved), "{:.0f}", "more"),
    ("Cores busy, mean", _middle(lambda run: run.costs.cpu_seconds / max(run.costs.wall_seconds, 0.001)), "{:.2f}", "less"),
    ("Resident memory at the end", _middle(lambda run: run.costs.resident_bytes / 2**20), "{:.0f} MiB", "less"),
)


def write(file: Path, comparisons: Sequence[Comparison], trace: Trace, machine: Machine, wishes: Wishes) -> None:
    """Write the report. Raises OSError."""
    file.write_text(page(comparisons, trace, machine, wishes), encoding="utf-8")


def page(comparisons: Sequence[Comparison], trace: Trace, machine: Machine, wishes: Wishes) -> str:
    told = (
        f"{trace.name}, seed {trace.seed}: {trace.characters} characters typed in {trace.seconds:.0f} seconds, "
        f"{wishes.runs} runs of each side in turns; threads {wishes.threads or 'as each side chooses'}; {_tokens(wishes)}."
    )
    body = [
        "<h1>Typing, side by side</h1>",
        f'<p class="soft">{html.escape(told)}<br>{html.escape(machine.sentence)}</p>',
        *(_comparison(comparison) for comparison in comparisons),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>infill bench typing</title><style>{CSS}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _tokens(wishes: Wishes) -> str:
    if wishes.tokens is None:
        return "each side generates as it does in life"
    return f"at most {wishes.tokens} tokens generated for an answer, greedily, on both sides"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a comparison."""

    what: str
    sides: dict[str, float]
    ratio: float = 0.0
    """How many times better infill is; 0 if unknown, or if neither side is better."""


def lines(comparison: Comparison) -> list[Line]:
    """All figures of both sides: medians over runs, and shares over all runs together."""
    found, heading = [], ""
    for name, value, _, better in ROWS:
        heading = heading if name.startswith("...") else name.partition(", ")[0]
        sides = {side: value(comparison.of(side)) for side in STYLES if comparison.of(side)}
        ours, theirs = (sides.get(side, 0.0) for side in STYLES)
        ratio = {"less": metrics.ratio(ours, theirs), "more": metrics.ratio(theirs, ours)}.get(better, 0.0)
        found.append(Line(what=name.replace("...", f"{heading},"), sides=sides, ratio=ratio))
    return found


def table(comparison: Comparison) -> list[tuple[str, list[str], str]]:
    """Rows: name, one cell for each side, and the ratio in words."""
    rows = []
    for (name, _, form, _), line in zip(ROWS, lines(comparison), strict=True):
        rows.append((name, [form.format(value) for value in line.sides.values()], f"{line.ratio:.1f} x" if line.ratio else ""))
    return rows


def _comparison(comparison: Comparison) -> str:
    sides = [side for side in STYLES if comparison.of(side)]
    head = "".join(f"<th>{side}</th>" for side in sides) + ("<th>better by</th>" if len(sides) > 1 else "")
    body = ""
    for name, cells, ratio in table(comparison):
        last = f"<td class=best>{ratio}</td>" if len(sides) > 1 else ""
        body += f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}{last}</tr>"
    return (
        f"<h2>{html.escape(comparison.model)}</h2><table><tr><th></th>{head}</tr>{body}</table>"
        f"<h3>How soon new ghost text appeared</h3>{charts.distribution(_curves(comparison, sides), 'Latency distribution')}"
        f"<h3>Half a minute of it: keys (ticks), pauses of 400 ms or more (shaded), ghost text (bars)</h3>{_timeline(comparison, sides)}"
    )


def _curves(comparison: Comparison, sides: Sequence[str]) -> list[Curve]:
    return [
        Curve(side, STYLES[side], [one.after * 1000 for moments in comparison.moments(side) for one in metrics.felt(moments) if one.new])
        for side in sides
    ]


def _timeline(comparison: Comparison, sides: Sequence[str]) -> str:
    lanes, start = [], 0.0
    for side in sides:
        lane = _lane(side, comparison.moments(side)[0])
        lanes.append(lane)
    first = [lane.keys[0] if lane.keys else 0.0 for lane in lanes]
    # each lane starts at its own first key, because the two sides load in different times
    moved = [_shifted(lane, begin) for lane, begin in zip(lanes, first, strict=True)]
    return charts.timeline(moved, start, start + EXCERPT_SECONDS, "Time line")


def _lane(side: str, moments: Sequence[Moment]) -> Lane:
    touches = [moment.at for moment in moments if moment.what in metrics.TOUCHES]
    shown = [moment.at for moment in moments if moment.what == "shown"]
    pauses = [(one, other) for one, other in itertools.pairwise(touches) if other - one >= metrics.PAUSE_SECONDS]
    ghosts = [(at, next((touch for touch in touches if touch > at), at)) for at in shown]
    return Lane(side, STYLES[side], [moment.at for moment in moments if moment.what == "key"], pauses, ghosts)


def _shifted(lane: Lane, by: float) -> Lane:
    return Lane(
        lane.name,
        lane.style,
        [key - by for key in lane.keys],
        [(one - by, other - by) for one, other in lane.pauses],
        [(one - by, other - by) for one, other in lane.ghosts],
    )


def speed_page(speeds: Sequence[Speed], machine: Machine) -> str:
    """The report of `infill bench speed`."""
    names, cells = speed_table(speeds)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
    head = "".join(f"<th>{name}</th>" for name in names)
    drawn = "".join(f"<h3>{title}</h3>{charts.bars(_bars(speeds, ours, bench, form), title)}" for title, ours, bench, form in CHARTED)
    body = f'<h1>Speed of models</h1><p class="soft">{html.escape(machine.sentence)}</p><table><tr>{head}</tr>{rows}</table>{drawn}'
    page_head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>infill bench speed</title><style>{CSS}</style>'
    return f'<!doctype html><html lang="en"><head>{page_head}</head><body>{body}</body></html>\n'


Value = Callable[[Speed], float]
CHARTED: tuple[tuple[str, Value, Value, str], ...] = (
    ("Generation, tokens per second", lambda one: one.generate_per_second, lambda one: one.bench_generate, "{}"),
    ("Evaluation, tokens per second", lambda one: one.evaluate_per_second, lambda one: one.bench_evaluate, "{}"),
    ("First token of a short prompt", lambda one: one.first_token_ms, lambda one: 0.0, "{} ms"),
    ("Memory", lambda one: one.resident_bytes / 2**20, lambda one: 0.0, "{} MiB"),
)


def _bars(speeds: Sequence[Speed], values: Value, benched: Value, form: str) -> list[Bar]:
    found = []
    for one in speeds:
        ours, bench = values(one), benched(one)
        if ours:
            found.append(Bar(one.name, "ours", ours, form.format(number(ours))))
        if bench:
            found.append(Bar(f"{one.name}, llama-bench", "theirs", bench, form.format(number(bench))))
    return found


SPEED_COLUMNS: tuple[tuple[str, Value, str], ...] = (
    ("load", lambda one: one.load_ms, "{} ms"),
    ("first token", lambda one: one.first_token_ms, "{} ms"),
    ("evaluation", lambda one: one.evaluate_per_second, "{} tokens/s"),
    ("to llama-bench", lambda one: one.evaluate_ratio, "{} x"),
    ("generation", lambda one: one.generate_per_second, "{} tokens/s"),
    ("to llama-bench", lambda one: one.generate_ratio, "{} x"),
    ("memory", lambda one: one.resident_bytes / 2**20, "{} MiB"),
)


def speed_table(speeds: Sequence[Speed]) -> tuple[list[str], list[list[str]]]:
    """The table's header and rows. Columns without any value are omitted; a missing value is an empty cell."""
    columns = [column for column in SPEED_COLUMNS if any(column[1](one) for one in speeds)]
    rows = [[_of_whom(one), *(form.format(number(value(one))) if value(one) else "" for _, value, form in columns)] for one in speeds]
    return ["model", *(name for name, _, _ in columns)], rows


def _of_whom(one: Speed) -> str:
    threads = f", {one.threads} thread{'s' if one.threads > 1 else ''}" if one.threads else ""
    return f"{one.name} ({one.provider}{threads})"
