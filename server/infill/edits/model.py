"""From a model's answer to the edits that may be shown, or the reason why there is none. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from infill.edits.filters import HARMLESS, Proposal, breaks, content, refusal
from infill.edits.formats import FORMATS, Material, Question, Read, Recent
from infill.edits.formats.base import MOST_LINES_MORE, MOST_RECENT
from infill.edits.history import Undone
from infill.edits.hunks import Hunk, beginning
from infill.edits.rewrite import changes, rejoined
from infill.edits.types import Change, Situation, Suggestion

GATES = {"low": -0.1, "medium": -0.3, "high": -0.6}
"""Minimum mean log-probability of the tokens of a shown answer, by eagerness. Not yet fitted to published weights."""


Propose = Callable[[Change], Proposal]
NOTHING = Change(0, 0, ())
MODEL_GROUP = "model "
"""Prefix of the groups of suggestions by a model; the digest of the content follows."""


class Verdict(msgspec.Struct, frozen=True):
    """The result of an answer."""

    edits: tuple[Change, ...]
    """The edits that may be shown, in the order of the offers; each applies to the present text without the others."""
    reason: str = ""
    """Why there is none, as the rest of a sentence that begins with "no next edit: "."""
    cursor: tuple[int, int] | None = None
    """The cursor of the answer, in the present text with the first edit applied."""


def material(situation: Situation, path: str, *, others: Sequence[Recent] = (), file_lines: int = 800) -> Material:
    """The parts of a prompt. `others`: recent edits of other documents, older than those of this one."""
    lines = situation.lines
    own = [_recent(hunk, path, lines) for hunk in sorted(situation.hunks, key=lambda hunk: hunk.order) if not hunk.blank]
    return Material(
        path=path,
        opened=tuple(beginning(lines, situation.hunks)),
        lines=tuple(lines),
        cursor=situation.cursor,
        recent=(*others, *own)[-MOST_RECENT:],
        file_lines=file_lines,
    )


def _recent(hunk: Hunk, path: str, lines: Sequence[str]) -> Recent:
    above = lines[hunk.first - 1] if 0 < hunk.first <= len(lines) else ""
    below = lines[hunk.end] if hunk.end < len(lines) else ""
    return Recent(path=path, first=hunk.first, old=tuple(hunk.old), new=tuple(hunk.new), above=above, below=below, accepted=hunk.accepted)


class Growing:
    """A growing answer."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._format = FORMATS[question.format]
        self.text = ""
        self.region: list[str] | None = None
        """The whole rewritten region, when the answer has rejoined the old text."""

    def add(self, text: str) -> bool:
        """Add text; returns whether generation can stop."""
        self.text += text
        if "\n" in text and self.region is None:
            self.region = rejoined(self._question.old, self._format.lines(self._question, self.text))
        return self.region is not None or any(stop in self.text for stop in self._format.stops) or self._runs_away()

    def read(self) -> Read | None:
        """The region's new lines; None if the answer does not have this format."""
        if self.region is not None:
            return Read(tuple(self.region))
        return self._format.read(self._question, self.text)

    def _runs_away(self) -> bool:
        return self.text.count("\n") > len(self._question.old) + MOST_LINES_MORE


def conclude(growing: Growing, question: Question, propose: Propose, *, cut: bool = False, mean_logprob: float = 0.0, gate: float = -1e9) -> Verdict:
    """Check an answer. `cut`: the token limit ended it; `propose`: makes the proposals that the rules check."""
    read = growing.read()
    if cut and growing.region is None:
        return Verdict((), "the answer reached the token limit")
    if read is None:
        return Verdict((), "the answer is not in the model's format")
    if len(read.lines) - len(question.old) > MOST_LINES_MORE:
        return Verdict((), "the answer adds too many lines")
    if mean_logprob < gate:
        return Verdict((), f"the model is not sure enough (mean log-probability {mean_logprob:.2f}, at least {gate:.2f} needed)")
    return _judged(read, question, propose)


def _judged(read: Read, question: Question, propose: Propose) -> Verdict:
    """Check the edits in the order of the answer. Edits after a hidden one depend on it, and are hidden too."""
    proposals = _proposals(read, question, propose)
    reasons = {proposal.change: refusal(proposal) for proposal in proposals}
    wrong = min((change.first for change, reason in reasons.items() if reason and reason not in HARMLESS), default=len(propose(NOTHING).lines) + 1)
    edits = tuple(change for change, reason in reasons.items() if not reason and change.first < wrong)
    if not edits:
        return Verdict((), next(iter(reasons.values()), "the model changes nothing"))
    cursor = (question.first + read.cursor[0], read.cursor[1]) if read.cursor and len(proposals) == 1 else None
    return Verdict(edits, cursor=cursor)


def _proposals(read: Read, question: Question, propose: Propose) -> list[Proposal]:
    """The edits of an answer, each with the document after all of them. One joint edit if single ones would break the syntax."""
    empty = propose(NOTHING)
    found = changes(question.old, read.lines, question.first, empty.cursor[0])
    whole = [*empty.lines[: question.first], *read.lines, *empty.lines[question.end :]]
    proposals = [msgspec.structs.replace(propose(change), whole=whole) for change in found]
    if len(found) > 1 and any(breaks(proposal) for proposal in proposals):
        first, end = min(change.first for change in found), max(change.end for change in found)
        tail = question.end - end
        together = Change(first, end, tuple(read.lines[first - question.first : len(read.lines) - tail]))
        return [msgspec.structs.replace(propose(together), whole=whole)]
    return proposals


def proposing(situation: Situation, undone: Collection[Undone] = (), rejected: Collection[str] = ()) -> Propose:
    """A function that makes the proposal for a change."""
    taken_back = [one for one in undone if one.document == situation.document]

    def propose(change: Change) -> Proposal:
        return Proposal(
            change=change,
            lines=situation.lines,
            language=situation.language,
            cursor=situation.cursor,
            hunks=situation.hunks,
            undone=taken_back,
            rejected=rejected,
        )

    return propose


def suggestion(situation: Situation, verdict: Verdict, title: str) -> Suggestion | None:
    """The first edit of a verdict; None if it has none."""
    if not verdict.edits:
        return None
    change = verdict.edits[0]
    newest = situation.newest(1)
    after = f" after your edit on line {newest[0].first + 1}" if newest else ""
    line, index = verdict.cursor or (change.first + max(0, len(change.new) - 1), len(change.new[-1]) if change.new else 0)
    group = content(situation.lines[change.first : change.end], change.new)
    return Suggestion(
        kind="edit", source="model", reason=f"{title} expects it{after}", change=change, line=line, index=index, group=f"{MODEL_GROUP}{group}"
    )
