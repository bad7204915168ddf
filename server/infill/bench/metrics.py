"""Figures from the recorded moments of a played trace. Pure.

Latency is measured from the last key before ghost text appeared. Suggestions that arrive after the next key were never seen, so they have no
latency. They lower the share of pauses with a suggestion.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import msgspec

from infill.bench.recorder import Moment

PAUSE_SECONDS = 0.4
"""Shortest pause in seconds in which a user could read a suggestion."""
AT_ONCE_SECONDS = 0.03
"""A suggestion this many seconds after an acceptance was prefetched."""
TOUCHES = ("key", "accepted", "undone", "jump")


class Spread(msgspec.Struct, frozen=True):
    """A distribution, in milliseconds or tokens."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    mean: float = 0.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One played trace."""

    latency: Spread
    """Milliseconds from the last key to new ghost text: text that is not the rest of what was shown before."""
    every_latency: Spread
    """The same for all ghost text, including the rest of what was shown before."""
    pause_latency: Spread
    """The same in pauses of 400 ms or more."""
    pauses: int
    pauses_seen: int
    keys: int
    asked: int
    cancelled: int
    answered: int
    nothing: int
    failed: int
    from_cache: int
    """Answers that the cache gave without running the model."""
    evaluated: Spread
    """Prompt tokens evaluated per model answer while a request was waiting. `Costs` has all evaluated tokens."""
    kept: Spread
    drafted: int
    agreed: int
    worth: int
    """Shown characters that the author then typed, summed over all suggestions."""
    characters_shown: int
    accepts: int
    accepts_followed: int
    """Acceptances after which the next suggestion was shown at once."""
    characters_saved: int
    """Typed characters saved by acceptances."""


class Tally(msgspec.Struct, frozen=True):
    """A count of a total over all runs: shares of the few cases in a single run would be too coarse."""

    part: int
    whole: int

    @property
    def share(self) -> float:
        return self.part / self.whole if self.whole else 0.0

    @property
    def words(self) -> str:
        return f"{self.part} of {self.whole}"


def pauses_seen(runs: Sequence[Figures]) -> Tally:
    """Pauses in which a suggestion appeared."""
    return Tally(sum(run.pauses_seen for run in runs), sum(run.pauses for run in runs))


def accepts_followed(runs: Sequence[Figures]) -> Tally:
    """Acceptances after which the next suggestion was shown at once."""
    return Tally(sum(run.accepts_followed for run in runs), sum(run.accepts for run in runs))


def worth(runs: Sequence[Figures]) -> Tally:
    """Shown characters that the author then typed."""
    return Tally(sum(run.worth for run in runs), sum(run.characters_shown for run in runs))


def percentile(values: Sequence[float], share: float) -> float:
    """The interpolated percentile of the values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def spread(values: Iterable[float]) -> Spread:
    found = list(values)
    if not found:
        return Spread()
    return Spread(len(found), round(percentile(found, 0.5), 3), round(percentile(found, 0.95), 3), round(sum(found) / len(found), 3))


class Felt(msgspec.Struct, frozen=True):
    """Ghost text that was shown."""

    at: float
    after: float
    """Seconds since the last key."""
    gap: float
    """Seconds from that key to the next one."""
    new: bool
    """True unless it is only the rest of what was shown before the key."""


def felt(moments: Sequence[Moment]) -> list[Felt]:
    """The first ghost text after each key that changed the text."""
    shown: list[Felt] = []
    ghost = ""
    for start, end in _gaps(moments):
        found = [moment for moment in _between(moments, start, end) if moment.what == "shown"]
        if found and start.what != "jump":
            new = not (ghost.startswith(start.text) and ghost[len(start.text) :] == found[0].text)
            shown.append(Felt(found[0].at, found[0].at - start.at, end.at - start.at, new))
        ghost = found[-1].text if found else ""
    return shown


def _gaps(moments: Sequence[Moment]) -> list[tuple[Moment, Moment]]:
    """Pairs of consecutive actions of the author."""
    touches = [moment for moment in moments if moment.what in TOUCHES]
    if moments:
        touches.append(Moment(at=moments[-1].at, what="key"))
    return list(itertools.pairwise(touches))


def _between(moments: Sequence[Moment], start: Moment, end: Moment) -> list[Moment]:
    return [moment for moment in moments if start.at <= moment.at < end.at]


def _count(moments: Sequence[Moment], what: str) -> int:
    return sum(moment.what == what for moment in moments)


def figures(moments: Sequence[Moment]) -> Figures:
    """All figures of one run."""
    seen = felt(moments)
    pauses = [(start, end) for start, end in _gaps(moments) if start.what == "key" and end.at - start.at >= PAUSE_SECONDS]
    costs = [moment for moment in moments if moment.what == "cost"]
    worked = [moment for moment in costs if moment.source != "ahead" and (moment.evaluated or moment.generated)]
    shown = [moment for moment in moments if moment.what == "shown"]
    accepts = [(start, end) for start, end in _gaps(moments) if start.what == "accepted"]
    return Figures(
        latency=spread(one.after * 1000 for one in seen if one.new),
        every_latency=spread(one.after * 1000 for one in seen),
        pause_latency=spread(one.after * 1000 for one in seen if one.gap >= PAUSE_SECONDS),
        pauses=len(pauses),
        pauses_seen=sum(any(moment.what == "shown" for moment in _between(moments, *pause)) for pause in pauses),
        keys=_count(moments, "key"),
        asked=_count(moments, "asked"),
        cancelled=_count(moments, "cancelled"),
        answered=len(shown) + _count(moments, "nothing"),
        nothing=_count(moments, "nothing"),
        failed=_count(moments, "failed"),
        from_cache=sum(moment.source in ("cache", "prefetch") for moment in (*shown, *costs)),
        evaluated=spread(moment.evaluated for moment in worked),
        kept=spread(moment.kept for moment in worked),
        drafted=sum(moment.drafted for moment in costs),
        agreed=sum(moment.agreed for moment in costs),
        worth=sum(moment.worth for moment in shown),
        characters_shown=sum(len(moment.text) for moment in shown),
        accepts=len(accepts),
        accepts_followed=sum(_at_once(moments, *accept) for accept in accepts),
        characters_saved=sum(start.worth for start, _ in accepts),
    )


def _at_once(moments: Sequence[Moment], start: Moment, end: Moment) -> bool:
    first = next((moment for moment in _between(moments, start, end) if moment.what in ("shown", "nothing")), None)
    return first is not None and first.what == "shown" and first.at - start.at <= AT_ONCE_SECONDS


def ratio(ours: float, theirs: float) -> float:
    """`theirs` divided by `ours`: the speed-up; 0 if one of them is missing."""
    return round(theirs / ours, 2) if ours and theirs else 0.0
