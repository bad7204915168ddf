"""Confidence benchmark: calibration of the estimated probability, and the effect of `completion.eagerness`.

Real files are cut at random cursors without the rest of the line, and the completer asks the engine as while typing. The possible suggestion is
compared with the author's text. Files are split into two halves by content. The temperature is fitted on the first half, which also gave the
numbers in `completion.filter`; all results are from the second half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from infill.bench.targets import Row
from infill.bench.weights import Weights, home
from infill.completion.filter import READING, Eagerness, threshold
from infill.completion.pipeline import Completer
from infill.completion.types import CompletionRequest
from infill.engine.check_places import BEFORE, places
from infill.models import calibration
from infill.models.calibration import Bin, Line
from infill.providers.local import LocalProvider
from infill.settings import Completion, Engine, Latency, Settings

ERROR_TARGET = 0.05
SETTINGS = Settings(
    engine=Engine(prefetch=False, warm=False, go_on=False),
    completion=Completion(eagerness="high", debounce_ms=0, deadline_ms=120_000),
    latency=Latency(target=10_000),
)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The possible suggestion at one place."""

    text: str
    """Its first line; empty if there is none."""
    logprob: float
    """Log-probability without a temperature."""
    right: bool

    @property
    def line(self) -> Line:
        return Line(self.logprob, self.right)


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """The result with one value of `completion.eagerness`."""

    eagerness: Eagerness
    places: int
    shown: int
    right: int
    characters: int
    """Characters saved by right suggestions minus those of wrong ones."""

    @property
    def wrong(self) -> int:
        return self.shown - self.right


class Confidence(msgspec.Struct, frozen=True, kw_only=True):
    """One model's results on the half that was not used for fitting."""

    model: str
    places: int
    temperature: float
    error: float
    """Expected calibration error."""
    error_uncalibrated: float
    bins: tuple[Bin, ...]
    sides: tuple[Side, ...]


def halves(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The texts for fitting and for reporting. Split by content, so that adding texts does not move others."""
    first = [text for text in texts if hashlib.sha256(text.encode()).digest()[0] % 2]
    return first, [text for text in texts if text not in first]


async def shown(measured: Weights, texts: Sequence[str], count: int, seed: int, say: Callable[[str], None], before: int = BEFORE) -> list[Shown]:
    """The possible suggestions at `count` places in the texts, with at most `before` characters of prefix."""
    with home(measured):
        from infill.models import store

        heat = store.locate(measured.model_id).temperature
        provider = LocalProvider(SETTINGS, lambda: measured.model_id)
        completer = Completer(provider, SETTINGS)
        found = []
        try:
            for number, (prefix, rest, suffix) in zip(range(count), places(texts, seed, before), strict=False):
                if number % 100 == 0:
                    say(f"{measured.name}: {number} of {count} places ...")
                found.append(await _at(completer, number, (prefix, rest, suffix), heat))
        finally:
            await completer.aclose()
            await provider.shutdown()
            await provider.aclose()
    return found


async def _at(completer: Completer, number: int, place: tuple[str, str, str], heat: float) -> Shown:
    prefix, rest, suffix = place
    uri = f"file:///{number}.py"
    outcome = await completer.complete(CompletionRequest(uri=uri, path=f"{number}.py", language="python", prefix=prefix, suffix=suffix))
    completer.closed(uri)
    if not outcome.suggestions:
        return Shown(text="", logprob=0.0, right=False)
    suggestion = outcome.suggestions[0]
    line = suggestion.text.partition("\n")[0]
    return Shown(text=line, logprob=calibration.log(suggestion.probability) * heat, right=line.rstrip() == rest.rstrip())


async def confidence(
    measured: Weights, texts: Sequence[str], count: int, say: Callable[[str], None], *, heat: float = 0.0, before: int = BEFORE
) -> Confidence:
    """Fit on one half of the texts, report on the other, with `count` places in each. With a given temperature `heat` nothing is fitted."""
    tuning, reporting = halves(texts)
    if not heat:
        heat = calibration.temperature([one.line for one in await shown(measured, tuning, count, 1, say, before) if one.text])
    found = await shown(measured, reporting, count, 2, say, before)
    lines = [one.line for one in found if one.text]
    return Confidence(
        model=measured.name,
        places=count,
        temperature=heat,
        error=calibration.calibration_error(lines, heat),
        error_uncalibrated=calibration.calibration_error(lines),
        bins=tuple(calibration.bins(lines, heat)),
        sides=tuple(side(found, heat, eagerness) for eagerness in READING),
    )


def side(found: Sequence[Shown], heat: float, eagerness: Eagerness) -> Side:
    """The suggestions that are shown with this eagerness."""
    seen = [one for one in found if one.text and one.line.probability(heat) >= threshold(eagerness)]
    characters = sum(len(one.text.strip()) * (1 if one.right else -1) for one in seen)
    return Side(eagerness=eagerness, places=len(found), shown=len(seen), right=sum(one.right for one in seen), characters=characters)


def rows(found: Confidence) -> list[Row]:
    """The results compared with their targets: calibration, and what `medium` keeps and hides compared with `high`."""
    all_of_it, medium = (next(side for side in found.sides if side.eagerness == name) for name in ("high", "medium"))
    note = f"temperature {found.temperature:.2f}; {found.error_uncalibrated:.3f} without it; {found.places} places"
    return [
        Row(what=f"expected calibration error, {found.model}", measured=round(found.error, 3), target=ERROR_TARGET, note=note),
        _kept("wrong suggestions kept at medium", found.model, medium.wrong, all_of_it.wrong, target=25),
        _kept("right suggestions kept at medium", found.model, medium.right, all_of_it.right, target=67, at_least=True),
    ]


def _kept(what: str, model: str, kept: int, of: int, *, target: float, at_least: bool = False) -> Row:
    share = round(100 * kept / of, 1) if of else 0.0
    return Row(what=f"{what}, {model}", measured=share, unit="%", target=target, at_least=at_least, note=f"{kept} of {of}")


RELIABILITY = ("probability", "lines", "mean probability", "right")
SIDES = ("eagerness", "places", "shown", "right", "wrong", "characters saved less rejected")


def reliability(found: Confidence) -> list[list[str]]:
    """Ten rows of a table."""
    return [
        [
            f"{number / 10:.1f} to {(number + 1) / 10:.1f}",
            str(one.lines),
            *([f"{one.mean_probability:.2f}", f"{one.right_share:.2f}"] if one.lines else ["-", "-"]),
        ]
        for number, one in enumerate(found.bins)
    ]


def sides(found: Confidence) -> list[list[str]]:
    """A row for each eagerness."""
    return [[one.eagerness, *map(str, (one.places, one.shown, one.right, one.wrong)), f"{one.characters:+}"] for one in found.sides]
