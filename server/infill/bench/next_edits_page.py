"""The report of `infill bench edits`: one self-contained HTML file with every scenario as a diff, for light and dark themes. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence

from infill.bench.next_edits import Played
from infill.bench.next_edits_report import by_kind
from infill.bench.scenarios import Scenario

CSS = """
:root { --paper: #ffffff; --ink: #1c2026; --soft: #68707c; --rule: #e3e6ea; --old: #ffe5e5; --new: #dff5e3; --wrong: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e4e7eb; --soft: #98a1ad; --rule: #2b3138; --old: #47201f; --new: #173a22; --wrong: #ff8a80 } }
body { margin: 0 auto; max-width: 1000px; padding: 32px 24px 64px; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--rule) }
th:first-child, td:first-child { text-align: left } section { border-top: 1px solid var(--rule); margin-top: 24px } h2 { font-size: 16px }
pre { margin: 4px 0; font: 13px/1.45 ui-monospace, monospace; overflow-x: auto } pre span { display: block; white-space: pre; min-height: 1.45em }
.old { background: var(--old) } .new { background: var(--new) } .soft { color: var(--soft) } .wrong { color: var(--wrong) }
"""
_CLASSES = {"-": "old", "+": "new", " ": "", ">": "soft"}


def page(scenarios: Sequence[Scenario], results: Sequence[Played]) -> str:
    """The page: the table of scores, then each scenario with the user's edits and the suggestions. Wrong ones come first."""
    header, rows = by_kind(results)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    pairs = sorted(zip(scenarios, results, strict=True), key=lambda pair: pair[1].exact)
    cases = "".join(_case(*pair) for pair in pairs)
    title = "Next edits: scenarios"
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{CSS}</style>"
        f"<h1>{title}</h1><table><tr>{head}</tr>{body}</table>{cases}</html>\n"
    )


def _case(scenario: Scenario, result: Played) -> str:
    verdict = "exact" if result.exact else "<span class='wrong'>not exact</span>"
    expected = "nothing is expected" if scenario.quiet else "a suggestion is expected"
    did = [line for step in scenario.steps for line in (f"> {step.kind} {step.text}".rstrip(), *_lines(step.diff.old, step.diff.new))]
    return (
        f"<section><h2>{html.escape(scenario.name)}: {verdict}</h2><p class='soft'>{html.escape(scenario.language)}, {expected}</p>"
        f"<p>The user's edits</p>{_drawn(did)}<p>Suggested</p>{_drawn(result.diff or ('> nothing',))}</section>"
    )


def _lines(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The lines of a diff; unchanged lines at its ends are marked as unchanged."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
    return [
        *(f" {line}" for line in old[:head]),
        *(f"-{line}" for line in gone),
        *(f"+{line}" for line in come),
        *(f" {line}" for line in old[len(old) - tail :]),
    ]


def _drawn(lines: Sequence[str]) -> str:
    rows = "".join(f"<span class='{_CLASSES.get(line[:1], 'soft')}'>{html.escape(line)}</span>" for line in lines)
    return f"<pre>{rows}</pre>"
