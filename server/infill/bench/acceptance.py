"""Acceptance benchmark: the state of a file after its suggestions were accepted, with a scripted model that knows the file.

Each place and each form of the answer gets one automatic and one explicit request through the real pipeline. The first suggestion replaces its
range, as in an editor. The answer is streamed in pieces and ended by the rules of every provider (`providers/cut.py`). No model, editor or network.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from infill.ask import Delta, Finish, Instruction, Prompt
from infill.bench import raw_answers
from infill.bench.corpus import Corpus
from infill.bench.places import AUTO_CLOSED, MOST_LINES, Place, places
from infill.bench.targets import Row
from infill.bench.verdict import EXACT, Verdict, verdict
from infill.completion.pipeline import Completer
from infill.completion.types import CompletionRequest
from infill.errors import InfillError
from infill.providers.base import Limits
from infill.providers.cut import Cutter
from infill.providers.fake import Fake, Step
from infill.settings import Completion, Engine, Settings

PIECE = 7
"""Longest piece of a streamed answer, in characters."""
WINDOW = 20_000
"""Maximum number of characters before the cursor in a request; half as many after it."""
MODES = ("typing", "line by line", "by key")
"""The first automatic suggestion; automatic suggestions accepted until none is left, for several lines; one explicit suggestion."""
MOST_ACCEPTED = 2 * MOST_LINES
EXACT_TARGET, CLOSER_PLACES = 99.0, 500
TURNS = (0.0,) * 6
"""Turns of the event loop between two pieces: enough to show a first line before the next piece arrives."""
SETTINGS = Settings(engine=Engine(prefetch=False, warm=False), completion=Completion(debounce_ms=0, candidates=1))


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One request and the resulting file."""

    language: str
    kind: str
    variant: str
    mode: str
    path: str
    line: int
    """Counted from 1."""
    column: int
    verdict: Verdict | None
    """None if nothing was shown."""
    reason: str = ""
    """Why nothing was shown."""
    before: str = ""
    """The cursor's line up to the cursor. Kept for wrong suggestions, like the next two fields."""
    answer: str = ""
    text: str = ""
    replaces: int = 0

    @property
    def shown(self) -> bool:
        return self.verdict is not None

    @property
    def exact(self) -> bool:
        return self.verdict in EXACT


async def trials(cut: Iterable[Place], seed: int, say: Callable[[str], None] = lambda _: None) -> list[Trial]:
    """The results for every form of the answer at every place, in every mode."""
    found: list[Trial] = []
    for number, place in enumerate(cut, 1):
        for mode in MODES:
            if mode != "line by line" or "\n" in place.written:
                tried = [await _trial(place, variant, mode, random.Random(f"{seed} {number} {variant}")) for variant in raw_answers.VARIANTS]
                found += [trial for trial in tried if trial]
        if number % 200 == 0:
            say(f"{number} places ...")
    return found


def _request(place: Place, automatic: bool) -> CompletionRequest:
    """A request without indentation settings."""
    return CompletionRequest(
        uri="file:///" + place.path,
        path=place.path,
        language=place.language,
        prefix=place.left[-WINDOW:],
        suffix=place.right[: WINDOW // 2],
        automatic=automatic,
    )


class _Scripted:
    """A provider's script: the author's text at one place in one form, without what the document already contains."""

    def __init__(self, place: Place, variant: str, dice: random.Random) -> None:
        self.place, self.variant, self.dice = place, variant, dice
        self.answer = ""
        """The first answer; empty if no request was made."""
        self.inserted, self.replaced = "", 0

    def accept(self, text: str, replaces: int) -> None:
        """Add accepted text to the document."""
        self.inserted, self.replaced = self.inserted + text, self.replaced + replaces

    def __call__(self, question: Prompt | Instruction) -> Iterator[Step]:
        assert isinstance(question, Prompt)
        if self.inserted:
            answer = self._next(question.prefix)
        else:
            answer = self.answer = raw_answers.variants(self.place, question.prefix).get(self.variant, "")
        return streamed(answer, question, self.dice)

    def _next(self, asked_from: str) -> str:
        """The author's text after the accepted text; empty if the accepted text differs from the author's."""
        place = self.place
        cursor = place.cursor + len(self.inserted)
        if cursor >= place.until or not place.written.startswith(self.inserted):
            return ""
        return raw_answers.perfect(msgspec.structs.replace(place, cursor=cursor, closers=place.closers[self.replaced :]), asked_from)


async def _trial(place: Place, variant: str, mode: str, dice: random.Random) -> Trial | None:
    """The result for one form and mode; None if this form does not apply at this place."""
    if not any(variant in raw_answers.variants(place, asked_from) for asked_from in (place.left, "\n")):
        return None
    script = _Scripted(place, variant, dice)
    text, replaces, reason = await _accepted(script, mode)
    if not script.answer and not reason:
        return None
    judged = verdict(place, text, replaces) if text else None
    wrong = judged is not None and judged not in EXACT
    return Trial(
        language=place.language,
        kind=place.kind,
        variant=variant,
        mode=mode,
        path=place.path,
        line=place.left.count("\n") + 1,
        column=len(place.line_before) + 1,
        verdict=judged,
        reason=reason,
        before=place.line_before if wrong else "",
        answer=script.answer if wrong else "",
        text=text if wrong else "",
        replaces=replaces if wrong else 0,
    )


async def _accepted(script: _Scripted, mode: str) -> tuple[str, int, str]:
    """The text inserted at the cursor, the number of replaced characters to its right, and why no further suggestion was shown."""
    completer = Completer(Fake(script, limits=Limits(typical_ms=1.0)), SETTINGS)
    request = _request(script.place, automatic=mode != "by key")
    reason = ""
    try:
        for _ in range(MOST_ACCEPTED if mode == "line by line" else 1):
            outcome = await completer.complete(request)
            if not outcome.suggestions:
                reason = outcome.reason
                break
            shown = outcome.suggestions[0]
            script.accept(shown.text, shown.replaces)
            request = msgspec.structs.replace(request, prefix=request.prefix + shown.text, suffix=request.suffix[shown.replaces :])
    finally:
        await completer.aclose()
    return script.inserted, script.replaced, "" if script.inserted else reason


def streamed(answer: str, prompt: Prompt, dice: random.Random) -> Iterator[Step]:
    """The answer in pieces up to its end by the provider's rules, with turns of the event loop between them."""
    cutter = Cutter(prompt.stop)
    at = 0
    while at < len(answer) and not cutter.ended:
        piece = answer[at : at + dice.randint(1, PIECE)]
        at += len(piece)
        if given := cutter.feed(piece):
            yield Delta(given)
        yield from TURNS
    if rest := cutter.end():
        yield Delta(rest)
    yield Finish(why=cutter.why or "end")


# ---- figures


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    name: str
    mode: str
    requests: int
    shown: int
    restored: int
    beginning: int
    lost: int
    doubled: int
    wrong: int

    @property
    def exact_percent(self) -> float:
        return 100 * (self.restored + self.beginning) / self.shown if self.shown else 100.0

    @property
    def shown_percent(self) -> float:
        return 100 * self.shown / self.requests if self.requests else 0.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of one run."""

    places: int
    seed: int
    files: dict[str, int]
    """By language."""
    rows: tuple[Row, ...]
    tables: dict[str, list[Share]]
    """By form of the answer, by language, by kind of place."""
    wrong: list[Trial]
    """All suggestions that were not exact."""


COLUMNS = ("request", "requests", "shown", "exact", "restored", "beginning", "closers lost", "closers doubled", "other")


def cells(share: Share) -> list[str]:
    """One line of a table."""
    counts = [share.restored, share.beginning, share.lost, share.doubled, share.wrong - share.lost - share.doubled]
    return [share.name, share.mode, str(share.requests), f"{share.shown_percent:.1f} %", f"{share.exact_percent:.2f} %", *map(str, counts)]


async def measure(files: Corpus, wanted: int, seed: int, say: Callable[[str], None]) -> Measured:
    """The figures of a run over the corpus. Raises InfillError if the corpus has no usable file."""
    if not files:
        raise InfillError("The corpus has no usable source file.", "Name a folder with --corpus, or use --fetch.")
    cut = [place for language, texts in files.items() for place in places(language, texts, wanted, seed)]
    say(f"{len(cut)} places in {len(files)} languages ...")
    found = await trials(cut, seed, say)
    by: dict[str, Callable[[Trial], str]] = {
        "answer": lambda trial: trial.variant,
        "language": lambda trial: trial.language,
        "place": lambda trial: trial.kind,
    }
    return Measured(
        places=len(cut),
        seed=seed,
        files={language: len(texts) for language, texts in files.items()},
        rows=tuple(rows(found)),
        tables={name: shares(found, key) for name, key in by.items()},
        wrong=[trial for trial in found if trial.shown and not trial.exact],
    )


def shares(found: Sequence[Trial], by: Callable[[Trial], str]) -> list[Share]:
    """The figures grouped by the value of `by`, in the order of first appearance."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for trial in found:
        groups.setdefault((by(trial), trial.mode), Counter())[trial.verdict or "nothing"] += 1
    return [_share(name, mode, count) for (name, mode), count in groups.items()]


def _share(name: str, mode: str, count: Counter[str]) -> Share:
    requests = sum(count.values())
    shown = requests - count["nothing"]
    return Share(
        name=name,
        mode=mode,
        requests=requests,
        shown=shown,
        restored=count["restored"],
        beginning=count["beginning"],
        lost=count["lost"],
        doubled=count["doubled"],
        wrong=shown - count["restored"] - count["beginning"],
    )


def rows(found: Sequence[Trial]) -> list[Row]:
    """The results compared with their targets."""
    shown = [trial for trial in found if trial.shown]
    exact = sum(trial.exact for trial in shown)
    pairs = [trial for trial in found if trial.kind in AUTO_CLOSED]
    spots = {(trial.path, trial.line, trial.column) for trial in pairs}
    languages = {trial.language for trial in pairs}
    closers = Counter(trial.verdict for trial in pairs)
    note = f"{len(spots)} places in auto-closed pairs of {len(languages)} languages"
    return [
        Row(
            what="exact, of what is shown",
            measured=100 * exact / len(shown) if shown else 0.0,
            unit="%",
            target=EXACT_TARGET,
            at_least=True,
            note=f"{exact} of {len(shown)} suggestions; {len(shown)} of {len(found)} requests showed one",
        ),
        Row(what="closers lost", measured=closers["lost"], target=0, note=note),
        Row(what="closers doubled", measured=closers["doubled"], target=0, note=note),
        Row(
            what="places in auto-closed pairs",
            measured=len(spots),
            target=CLOSER_PLACES,
            at_least=True,
            note=f"languages: {', '.join(sorted(languages))}",
        ),
    ]
