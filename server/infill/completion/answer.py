"""The answer of a model to one request, complete or still growing. The cache keeps answers; the scheduler feeds them.

An answer makes no request and starts no task. `rest(typed)` returns what remains of it after the user has typed `typed`.
"""

from __future__ import annotations

import asyncio
import math

from infill.ask import Delta, Event, Finish, Report
from infill.completion import postprocess
from infill.completion.place import Place
from infill.completion.postprocess import overlap, repetition, unfinished
from infill.completion.provenance import NOWHERE, Provenance
from infill.completion.types import Source, Suggestion

WORTH_READING = 8
"""Minimum number of characters of an unfinished line that are shown after a long wait."""
LONG = 60
"""Minimum number of characters of an unfinished line that are shown at once: few lines are that long, and users read them from the start."""
BYTE_ORDER_MARK = "\ufeff"


class Answer:
    """The candidates for one request."""

    def __init__(
        self,
        place: Place,
        made_of: Provenance = NOWHERE,
        *,
        source: Source = "model",
        asked: int = 1,
        by_key: bool = False,
        whole: bool = False,
        chosen: str = "",
    ) -> None:
        self.place = place
        self.made_of = made_of
        self.chosen = chosen
        """The model that was requested; reported until the provider's report names the model that answered."""
        self.asked = asked
        """Number of candidates requested."""
        self.by_key = by_key
        """The user requested it with a key."""
        self.whole = whole
        """Not shown before it is complete, because there are several candidates."""
        self.source = source
        self.hurried = False
        """The wait was long: show the finished words of an unfinished first line."""
        self.complete = False
        """No more text follows."""
        self.stopped = ""
        """Why this process stopped it early; empty if it did not."""
        self.ran_on = False
        """Reading ended because the rest of the answer cannot matter."""
        self.error: Exception | None = None
        self.report: Report | None = None
        self.steps: tuple[str, ...] = ()
        """Names of the post-processing steps that changed it."""
        self._raw: dict[int, str] = {}
        self._certain: dict[int, dict[int, float]] = {}
        """By candidate: lengths of the raw text so far, and the log-probability of the text up to each length."""
        self._finishes: dict[int, Finish] = {}
        self._clean: dict[int, tuple[int, str]] = {}
        self._waiting: list[asyncio.Future[None]] = []

    # ---- growing

    def apply(self, event: Event) -> None:
        """Add the next event of the stream."""
        if isinstance(event, Delta):
            raw = self._raw.get(event.candidate, "") + event.text
            self._raw[event.candidate] = raw.lstrip(BYTE_ORDER_MARK).replace("\r\n", "\n")
        elif isinstance(event, Finish):
            self._finishes[event.candidate] = event
        else:
            self.report = event
        if isinstance(event, (Delta, Finish)) and event.logprob is not None:
            self._certain.setdefault(event.candidate, {})[len(self._raw.get(event.candidate, ""))] = event.logprob
        self._wake()

    def close(self, *, stopped: str = "", ran_on: bool = False, error: Exception | None = None) -> None:
        """Mark the answer as complete. Only the first call has an effect."""
        if not self.complete:
            self.complete, self.stopped, self.ran_on, self.error = True, stopped, ran_on, error
            self._clean.clear()
            self._wake()

    def hurry(self) -> None:
        """Allow showing the finished words of the first line before the line is complete."""
        self.hurried = True
        self._wake()

    async def grown(self) -> None:
        """Wait until text is added or the answer is complete."""
        if not self.complete:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # ---- looking

    def agrees(self, typed: str) -> bool:
        """Whether the typed text and the answer are equal over their common length."""
        if not typed:
            return True
        if self.complete:
            return any(text.startswith(typed) for text in self._texts())
        return any(said.startswith(typed) or typed.startswith(said) for said in map(self._opening, self._raw or {0: ""}))

    def ready(self, typed: str) -> bool:
        """Whether it can be shown: complete, or one line beyond `typed` is complete, or enough words after a long wait. If `whole`, only complete."""
        if self.complete:
            return True
        return not self.whole and any(self._can_be_read(candidate, typed) for candidate in self._raw)

    def _can_be_read(self, candidate: int, typed: str) -> bool:
        text, raw = self._text(candidate), self._raw[candidate]
        beyond = text[len(typed) :].strip()
        if not (text.startswith(typed) and beyond):
            return False
        if not unfinished.stands_alone(text, self.place):
            return False
        if _whole_lines(raw) or repetition.before_a_loop(raw):
            return True
        return len(beyond) >= WORTH_READING and (self.hurried or len(text) >= LONG)

    def rest(self, typed: str) -> list[Suggestion]:
        """What remains of each candidate that begins with `typed`; only whole lines while it grows."""
        found: dict[str, Suggestion] = {}
        for candidate in sorted(self._raw):
            text = self._text(candidate)
            if text.startswith(typed) and len(text) > len(typed):
                finish = self._finishes.get(candidate, Finish())
                rest = text[len(typed) :]
                found.setdefault(rest, Suggestion(rest, 0, finish.mean_logprob, self._probability(candidate, typed)))
        return list(found.values())

    def _probability(self, candidate: int, typed: str) -> float | None:
        """Probability of the first line after `typed`, given `typed`; None if the provider returns no log-probabilities."""
        raw = self._raw[candidate]
        start = max(0, raw.find(typed)) + len(typed) if typed else 0
        line = len(raw) - len(raw[start:].lstrip())  # where the first line that is not blank begins
        end = raw.find("\n", line) + 1 or len(raw)
        known = self._certain.get(candidate)
        if not known:
            return None
        through = next((logprob for length, logprob in known.items() if length >= end), known[max(known)])
        before = [logprob for length, logprob in known.items() if length <= start]
        return math.exp(min(0.0, through - (before[-1] if before else 0.0)))

    def says_nothing(self) -> bool:
        """Whether it is complete, ended normally and is empty."""
        return self.complete and not (self.stopped or self.error or self.ended_by() == "deadline" or any(self._texts()))

    def has_run_on(self) -> bool:
        """Whether to stop reading: the last whole lines were cut as repetition or as outside the block, or the current line repeats itself."""
        raw = self._raw.get(0, "")
        if self.whole or not raw:
            return False
        if not raw.endswith("\n"):
            return repetition.in_circles(raw)
        self._text(0)
        return bool(postprocess.ENDING.intersection(self.steps))

    def ended_by(self) -> str:
        """Why the first candidate ended: a value of `ask.Finish.why`, `run on` if reading was stopped, or empty while it grows."""
        finish = self._finishes.get(0)
        return finish.why if finish else "run on" if self.ran_on else ""

    def _texts(self) -> list[str]:
        return [self._text(candidate) for candidate in self._raw]

    def _opening(self, candidate: int) -> str:
        return postprocess.opening(self._raw.get(candidate, ""), self.place)

    def _text(self, candidate: int) -> str:
        """The candidate after the steps that depend on the answer alone; computed once for each added line."""
        raw = self._raw[candidate]
        finish = self._finishes.get(candidate)
        cut_short = not self.ran_on and (finish is None or finish.why in {"length", "deadline", "stopped"})
        if cut_short:
            keep_single = finish is not None and not self.stopped
            raw = _whole_lines(raw) or (raw if keep_single else "" if self.complete else self._of_a_growing_line(raw))
        known = self._clean.get(candidate)
        if known is None or known[0] != len(raw):
            text, steps = postprocess.cacheable(raw, self.place)
            known = self._clean[candidate] = (len(raw), text)
            if candidate == 0:
                self.steps = steps
        return known[1]

    def _of_a_growing_line(self, raw: str) -> str:
        """The part of an unfinished line to show: after a long wait, if long, or before a loop. Empty before a closer that needs its own line."""
        if "\n" in raw and self.place.line_after.strip():
            return ""
        long = self.hurried or len(raw) > LONG
        head = repetition.before_a_loop(raw) or (unfinished.whole_words(raw, self.place) if long else "")
        return "" if overlap.may_repeat_line(head, self.place) else head


def _whole_lines(raw: str) -> str:
    """The text without its last line, which may be incomplete; empty if there is no other line."""
    head = raw[: raw.rfind("\n") + 1]
    return head if head.strip() else ""
