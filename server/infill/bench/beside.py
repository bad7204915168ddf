"""Comparison with Ollama and the same model file: tokens per second and time to first token, alternating in one run.

Both sides get the same greedy requests and the same number of threads. Chat models get those of `infill generate`; base models fill in the middle.
Each round sends all requests to one side, then to the other; the first side alternates. Times are measured in the client, transport included.
Ollama is accessed through infill's provider for it. On both sides the model decides where an answer ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from infill.ask import Instruction, Message, Prompt, Sampling, Stop
from infill.bench import metrics, ollama, speed
from infill.bench.drive import Driven, engine
from infill.bench.ollama import Answer, Ollama
from infill.bench.targets import Row, number
from infill.bench.weights import Weights
from infill.engine.protocol import Complete, Done, Generate, Text
from infill.errors import InfillError
from infill.generation import place, prompt
from infill.models import gguf
from infill.providers.http import Deadline
from infill.settings import Engine

TOKENS = 256
ENOUGH = TOKENS * 3 // 4
"""Minimum length of a compared answer: later tokens take longer, so a shorter answer would be faster."""
LONG = "validate two CSV files"
"""The instruction for long answers: even small models write more than TOKENS tokens for it."""
FEW = 8
"""Tokens of an answer if only the first token is timed."""
SPEED_TARGET, FIRST_TARGET = 1.2, 0.65
TITLE = "Functions of a program that works with files and prints what it has found in them."
VERBS = ("parse", "sort", "merge", "count", "validate", "rename", "compress", "plot", "encrypt", "download", "format", "split")
OBJECTS = (
    "command line options",
    "log files by date",
    "two CSV files",
    "words of a text",
    "an e-mail address",
    "pictures in a folder",
    "a JSON file",
)

Case = Literal["behind", "repeated", "elsewhere", "new", "drafted", "plain"]
RATES: dict[Case, str] = {"drafted": "tokens per second", "plain": "tokens per second without drafting"}
FIRSTS: dict[Case, str] = {
    "behind": "first token of a new instruction behind a known beginning",
    "elsewhere": "first token of the first instruction in another document",
    "new": "first token of a new prompt",
    "repeated": "first token of a repeated prompt",
}
Taken = dict[Case, list[Answer]]
Ask = Callable[["Question"], Awaitable[Answer]]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    beginning: str = ""
    """Text before everything else."""
    shuffle: int = 0
    """A seed that reorders the words of the beginning, so that no cache contains it; 0 keeps the order."""
    wish: str
    tokens: int
    slot: str = "bench"
    """The document of the request; Ollama has no equivalent."""
    draft: bool = True
    """Whether infill may draft tokens; Ollama has no equivalent."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity for both sides, with the values of all rounds."""

    what: str
    unit: str
    ours: list[float]
    theirs: list[float]
    note: str = ""

    @property
    def ratio(self) -> float:
        """Median of infill divided by that of Ollama; 0 if a side has no value."""
        ours, theirs = _median(self.ours), _median(self.theirs)
        return ours / theirs if ours and theirs else 0.0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison for one model."""

    model: str
    peer: str
    """Name and version."""
    threads: int
    rounds: int
    figures: list[Figure]
    same_answers: int
    """Number of equal long answers, of `rounds`."""
    rows: list[Row]


async def compare(measured: Weights, options: Engine, rounds: int, binary: Path, say: Callable[[str], None]) -> Comparison:
    """Measure both sides. Raises InfillError if a side does not start or does not answer."""
    chat = gguf.facts(measured.path).chat
    async with engine(measured, options) as driven:
        threads = options.threads or speed.threads_of((await driven.client.status()).models) or 1
        say(f"{measured.name}: starting Ollama with {threads} {'threads' if threads > 1 else 'thread'} ...")
        async with ollama.served(binary, measured, threads, TOKENS) as peer:
            sides: tuple[tuple[Ask, Taken], ...] = ((_ours(driven, chat), {}), (_theirs(peer, chat), {}))
            for turn in range(rounds + 1):
                say(f"{measured.name}: {f'round {turn} of {rounds}' if turn else 'warming up'} ...")
                for ask, taken in sides if turn % 2 else reversed(sides):
                    await _round(ask, turn, taken)
            return _comparison(measured.name, f"Ollama {peer.version}", threads, rounds, sides[0][1], sides[1][1])


async def _round(ask: Ask, turn: int, taken: Taken) -> None:
    """Send each request once. Round 0 warms up processor and caches and is not recorded."""
    wishes = _wishes(turn)
    await ask(Question(wish=next(wishes), tokens=1))  # caches the beginning for the requests below
    behind = Question(wish=next(wishes), tokens=FEW)
    asked: list[tuple[Case, Question]] = [
        ("behind", behind),
        ("repeated", behind),
        ("elsewhere", Question(wish=next(wishes), tokens=FEW, slot=f"other-{turn}")),
        ("new", Question(shuffle=turn + 1, wish=next(wishes), tokens=FEW)),
        ("drafted", Question(beginning=f"Task {turn * 7919}. ", wish=LONG, tokens=TOKENS)),
        ("plain", Question(beginning=f"Job {turn * 7919}. ", wish=LONG, tokens=TOKENS, draft=False)),
    ]
    for case, question in asked:
        answer = await ask(question)
        if turn:
            taken.setdefault(case, []).append(answer)


def _wishes(turn: int) -> Iterator[str]:
    """Instructions for this round, each with a different first word."""
    for step in itertools.count(turn * 4):
        yield f"{VERBS[step % len(VERBS)]} {OBJECTS[step % len(OBJECTS)]}"


# ---- the sides


def _messages(question: Question) -> tuple[Message, ...]:
    """The messages that `infill generate` sends for an empty Python file."""
    wanted = place.find("", 0, 0, "python", question.wish, "    ")
    system, user = prompt.conversation(prompt.Surroundings("", ""), wanted, "", "python", "")
    return Message("system", _begun(question, system.content)), user


def _prefix(question: Question) -> str:
    return f'"""{_begun(question, TITLE)}"""\n\nimport os\nimport sys\n\n\n# {question.wish}\n'


def _begun(question: Question, text: str) -> str:
    return question.beginning + (speed.shuffled(text, question.shuffle) if question.shuffle else text)


def _stop(question: Question) -> Stop:
    return Stop(max_tokens=question.tokens, deadline_ms=int(ollama.ANSWER_SECONDS * 1000))


def _ours(driven: Driven, chat: bool) -> Ask:
    async def ask(question: Question) -> Answer:
        clock = asyncio.get_running_loop().time
        asked, first, text = clock(), 0.0, ""
        async with contextlib.aclosing(_frames(driven, question, chat)) as frames:
            async for frame in frames:
                if isinstance(frame, Text):
                    first, text = first or clock(), text + frame.text
                elif first:
                    timings = frame.timings
                    return Answer(
                        asked=asked,
                        first=first,
                        last=clock(),
                        text=text,
                        tokens=timings.tokens_generated,
                        evaluated=timings.tokens_evaluated,
                        evaluate_ms=timings.evaluate_ms,
                    )
        raise InfillError("The engine sent an answer without text.", "Run the comparison again, or choose another model.")

    return ask


def _frames(driven: Driven, question: Question, chat: bool) -> AsyncGenerator[Text | Done, None]:
    client, stop = driven.client, _stop(question)
    if chat:
        return client.generate(
            Generate(id=0, model=driven.model, slot=question.slot, messages=_messages(question), stop=stop, speculate=question.draft)
        )
    return client.complete(
        Complete(
            id=0,
            model=driven.model,
            slot=question.slot,
            prefix=_prefix(question),
            suffix="\n",
            stop=stop,
            priority="invoked",
            speculate=question.draft,
        )
    )


def _theirs(peer: Ollama, chat: bool) -> Ask:
    async def ask(question: Question) -> Answer:
        dialect, stop = peer.remote.dialect, _stop(question)
        if chat:
            asked = Instruction(slot="bench", messages=_messages(question), sampling=Sampling(), stop=stop)
            return await peer.ask(dialect.generation(asked, ollama.MODEL))
        facts = await peer.remote.look(Deadline(ollama.START_SECONDS))
        return await peer.ask(dialect.completion(Prompt(slot="bench", prefix=_prefix(question), suffix="\n", stop=stop), facts))

    return ask


# ---- the figures


def _comparison(model: str, peer: str, threads: int, rounds: int, ours: Taken, theirs: Taken) -> Comparison:
    figures = [_rate(what, ours[case], [*theirs["drafted"], *theirs["plain"]]) for case, what in RATES.items()]
    figures += [_first(what, ours[case], theirs[case]) for case, what in FIRSTS.items()]
    return Comparison(
        model=model,
        peer=peer,
        threads=threads,
        rounds=rounds,
        figures=figures,
        same_answers=sum(one.text == other.text for one, other in zip(ours["plain"], theirs["plain"], strict=True)),
        rows=[_row(figure, model, peer) for figure in figures],
    )


def _rate(what: str, ours: Sequence[Answer], theirs: Sequence[Answer]) -> Figure:
    return Figure(what=what, unit="tokens/s", ours=_rates(ours), theirs=_rates(theirs))


def _first(what: str, ours: Sequence[Answer], theirs: Sequence[Answer]) -> Figure:
    told = [_median([answer.evaluate_ms for answer in side]) for side in (ours, theirs)]
    tokens = _median([answer.evaluated for answer in ours])
    note = f"prompt processing took {number(told[0])} ({number(tokens)} tokens) and {number(told[1])} ms of it"
    if loading := _median([answer.load_ms for answer in theirs]):
        note += f"; Ollama reports {number(loading)} ms before it"
    return Figure(what=what, unit="ms", ours=_firsts(ours), theirs=_firsts(theirs), note=note)


def _rates(answers: Sequence[Answer]) -> list[float]:
    """Tokens per second from the first token to the end, for answers that are long enough."""
    return [(answer.tokens - 1) / (answer.last - answer.first) for answer in answers if answer.tokens >= ENOUGH and answer.last > answer.first]


def _firsts(answers: Sequence[Answer]) -> list[float]:
    """Milliseconds from the request to the first text."""
    return [(answer.first - answer.asked) * 1000 for answer in answers]


def _median(values: Sequence[float]) -> float:
    return metrics.percentile(list(values), 0.5) if values else 0.0


def _row(figure: Figure, model: str, peer: str) -> Row:
    """The ratio with its target; the note has both medians, lowest and highest values."""
    faster = figure.unit == "tokens/s"
    told = [f"{number(_median(side))} ({number(min(side))} to {number(max(side))})" for side in (figure.ours, figure.theirs) if side]
    return Row(
        what=f"{figure.what}, {model}, against {peer}",
        measured=round(figure.ratio, 3),
        unit="x",
        target=SPEED_TARGET if faster else FIRST_TARGET,
        at_least=faster,
        note=f"{' and '.join(told)} {figure.unit}, medians of {len(figure.ours)} and {len(figure.theirs)}{figure.note and f'; {figure.note}'}",
        unknown="" if figure.ratio else "the answers were too short",
    )
