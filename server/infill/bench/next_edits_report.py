"""Tables of `infill bench edits`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from infill.bench.next_edits import Played, Scores, scores
from infill.bench.replay import Case, Replayed

Table = tuple[list[str], list[list[str]]]


def by_kind(results: Sequence[Played]) -> Table:
    """Scores of each kind of scenario and of all scenarios."""
    kinds = sorted({one.kind for one in results})
    rows = [_scored(kind, scores([one for one in results if one.kind == kind])) for kind in kinds]
    header = ["kind", "scenarios", "exact", "nearer", "harmful", "shown", "quiet", "keys saved", "chain", "median ms", "slowest ms"]
    return header, [*rows, _scored("all", scores(results))]


def _scored(kind: str, found: Scores) -> list[str]:
    shares = [f"{share:.0%}" for share in (found.exact, found.nearer, found.harmful, found.show_rate, found.quiet_rate)]
    return [kind, str(found.scenarios), *shares, str(found.keys), f"{found.chain:.1f}", f"{found.median_ms:.2f}", f"{found.slowest_ms:.1f}"]


def replayed(found: Replayed) -> Table:
    """Suggestions in a replayed history, and how many of them were right."""
    sources = sorted({case.source for case in found.cases})
    rows = [_of(source, [case for case in found.cases if case.source == source], found) for source in sources]
    note = f"all ({found.commits} commits, {found.files} files)"
    return ["source", "edits", "shown", "right", "share", "nearer", "median ms"], [*rows, _of(note, found.cases, found)]


def _of(name: str, cases: Sequence[Case], found: Replayed) -> list[str]:
    right = sum(case.hit for case in cases)
    median = statistics.median(found.milliseconds) if found.milliseconds else 0.0
    return [
        name,
        str(found.edits),
        str(len(cases)),
        str(right),
        *(_share(count, len(cases)) for count in (right, sum(case.nearer for case in cases))),
        f"{median:.2f}",
    ]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"
