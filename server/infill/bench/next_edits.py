"""`infill bench edits`: plays scenarios of next edits, and counts right, wrong and missing suggestions.

The suggestions of a scenario are accepted one after the other. The result is exact if it is what the scenario expects, without further edits.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import get_args

import msgspec

from infill.bench.scenarios import Diff, Scenario
from infill.edits.history import History
from infill.edits.hunks import Splice, trimmed
from infill.edits.offers import Offers
from infill.edits.suggest import Eagerness
from infill.edits.types import Problem, Situation, Suggestion

EAGERNESS: tuple[Eagerness, ...] = get_args(Eagerness)
LONGEST_CHAIN = 60
STEP_SECONDS = 2.0
"""Seconds between two edits of a player."""


class Player:
    """A text with its edit history and the next-edit rules."""

    def __init__(self, lines: Sequence[str], language: str, eagerness: Eagerness = "medium") -> None:
        self.lines = list(lines)
        self.language = language
        self.eagerness = eagerness
        self.cursor = (0, 0)
        self.problems: list[Problem] = []
        self.now = 0.0
        self.history = History(lambda: self.now)
        self.offers = Offers(self.history)
        self.milliseconds: list[float] = []

    def replace(self, first: int, end: int, new: Sequence[str], *, bulk: bool = False) -> None:
        """Replace lines, in one event if `bulk`, else line by line."""
        splice = trimmed(Splice(first, self.lines[first:end], list(new)))
        self.lines[first:end] = new
        self.now += STEP_SECONDS
        if bulk or len(splice.old) != len(splice.new):
            self.history.changed("", [splice])
        else:
            for number, (old, now) in enumerate(zip(splice.old, splice.new, strict=True), splice.first):
                self.history.changed("", [Splice(number, [old], [now])])
        last = max(0, min(first + len(new), len(self.lines)) - 1)
        self.cursor = (last, len(self.lines[last]))

    def suggestion(self) -> Suggestion | None:
        """The next suggestion. None after an edit that was not typed."""
        situation = Situation(
            document="", language=self.language, lines=self.lines, hunks=self.history.of(""), cursor=self.cursor, problems=self.problems
        )
        begun = time.perf_counter()
        found = self.offers.next(situation, self.eagerness)
        self.milliseconds.append(1000 * (time.perf_counter() - begun))
        return found

    def accept(self, suggestion: Suggestion) -> None:
        change = suggestion.change
        if change is not None:
            self.replace(change.first, change.end, change.new)
            self.history.accepted("", change.first, change.first + len(change.new))


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one scenario."""

    name: str
    kind: str
    quiet: bool
    """No suggestion was expected."""
    shown: int
    """Number of suggestions in the chain."""
    exact: bool
    nearer: bool
    """The chain brought the text nearer to the expected one."""
    harmful: bool
    """The chain moved the text away from the expected one, or made a suggestion where none was expected."""
    keys: int
    """Characters saved by the chain, minus one key for each suggestion."""
    milliseconds: float
    """Time of the slowest suggestion."""
    diff: tuple[str, ...]
    """The suggestions as lines of a diff."""


def played(scenario: Scenario, eagerness: Eagerness = "medium") -> Played:
    """The result of one scenario. Raises ScenarioError if an edit cannot be applied."""
    player = Player(scenario.before, scenario.language, eagerness)
    prepare(player, scenario)
    before = list(player.lines)
    target = before
    for diff in scenario.expected:
        target = diff.apply(target)
    chain = _chain(player)
    texts, jumps = _results(before, chain)
    exact = player.lines == target and jumps == list(scenario.jumps)
    far, now = distance(before, target), distance(player.lines, target)
    return Played(
        name=scenario.name,
        kind=scenario.kind,
        quiet=scenario.quiet,
        shown=len(chain),
        exact=exact,
        nearer=now < far,
        harmful=now > far or (scenario.quiet and bool(chain)),
        keys=max(0, far - now) - len(chain),
        milliseconds=max(player.milliseconds, default=0.0),
        diff=texts,
    )


def prepare(player: Player, scenario: Scenario) -> None:
    """Apply the steps before the request. Raises ScenarioError if an edit cannot be applied."""
    undo: list[tuple[int, list[str], list[str]]] = []
    for step in scenario.steps:
        if step.kind in {"edit", "paste"}:
            at = step.diff.place(player.lines)
            first, old, new = _tight(at, step.diff)
            undo.append((first, old, new))
            player.replace(first, first + len(old), new, bulk=step.kind == "paste")
        elif step.kind == "undo":
            first, old, new = undo.pop()
            player.replace(first, first + len(new), old)
        elif step.kind == "problem":
            player.problems.append(Problem(player.lines.index(step.diff.old[0]), 0, step.text))
        else:
            player.cursor = (player.lines.index(step.diff.old[0]), 0)


def _tight(at: int, diff: Diff) -> tuple[int, list[str], list[str]]:
    """The diff without unchanged lines at its ends."""
    old, new = list(diff.old), list(diff.new)
    while old and new and old[0] == new[0]:
        old, new, at = old[1:], new[1:], at + 1
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return at, old, new


def _chain(player: Player) -> list[tuple[Suggestion, list[str]]]:
    """Pairs of a suggestion and the lines before it; each is accepted before the next."""
    chain: list[tuple[Suggestion, list[str]]] = []
    while len(chain) < LONGEST_CHAIN and (found := player.suggestion()) is not None:
        chain.append((found, list(player.lines)))
        if found.change is None:
            break
        player.accept(found)
    return chain


def _results(before: Sequence[str], chain: Sequence[tuple[Suggestion, list[str]]]) -> tuple[tuple[str, ...], list[str]]:
    rows: list[str] = []
    jumps: list[str] = []
    for suggestion, lines in chain:
        change = suggestion.change
        rows.append(f"because {suggestion.reason}")
        if change is None:
            jumps.append(lines[suggestion.line])
            rows.append(f"> {lines[suggestion.line]}")
        else:
            rows += [f"-{line}" for line in lines[change.first : change.end]] + [f"+{line}" for line in change.new]
    return tuple(rows), jumps


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Characters to type or delete to turn one text into the other, line by line."""
    total = 0
    for tag, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag != "equal":
            left, right = "\n".join(one[a:b]), "\n".join(other[c:d])
            same = sum(block.size for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks())
            total += max(len(left), len(right)) - same
    return total


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of a set of scenarios; shares are from 0 to 1."""

    scenarios: int
    exact: float
    nearer: float
    harmful: float
    show_rate: float
    """Share of scenarios with a suggestion, where one is expected."""
    quiet_rate: float
    """Share of scenarios without a suggestion, where none is expected."""
    keys: int
    chain: float
    """Mean number of suggestions in scenarios with at least one."""
    median_ms: float
    slowest_ms: float


def scores(results: Sequence[Played]) -> Scores:
    """The scores of the results."""
    loud = [one for one in results if not one.quiet]
    quiet = [one for one in results if one.quiet]
    shown = [one.shown for one in results if one.shown]
    return Scores(
        scenarios=len(results),
        exact=_share([one.exact for one in results]),
        nearer=_share([one.nearer for one in loud]),
        harmful=_share([one.harmful for one in results]),
        show_rate=_share([one.shown > 0 for one in loud]),
        quiet_rate=_share([one.shown == 0 for one in quiet]),
        keys=sum(one.keys for one in results),
        chain=statistics.mean(shown) if shown else 0.0,
        median_ms=statistics.median([one.milliseconds for one in results]) if results else 0.0,
        slowest_ms=max((one.milliseconds for one in results), default=0.0),
    )


def _share(facts: Sequence[bool]) -> float:
    return sum(facts) / len(facts) if facts else 1.0
