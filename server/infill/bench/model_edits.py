"""Answers of a next-edit model in the scenarios, live or replayed from recorded answers without the weights.

A recorded answer is a text file named after its scenario. Its first two lines are `prompt: DIGEST` and `end: WHY`; the raw answer follows.
It is valid only for the same prompt: after a change of a prompt or a format it must be recorded again. The rules that need no model are off, so
that every scenario uses the model.
"""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from infill import settings_file
from infill.ask import Delta, Event, Finish, Instruction, Report, Rewriting, Stop, Timings
from infill.bench.next_edits import Player, distance, prepare
from infill.bench.scenarios import Scenario, load
from infill.edits import model
from infill.edits.formats import FORMATS, Question
from infill.edits.suggest import applied
from infill.edits.types import Situation
from infill.errors import InfillError
from infill.providers.local import LocalProvider

DEADLINE_MS = 120_000
"""Deadline of one answer: a slow machine must not change the recording."""
CUT = frozenset({"length", "deadline"})

Outcome = Literal["exact", "nearer", "unchanged", "farther", "not asked"]


class StaleRecording(InfillError):
    """A recorded answer is for a different prompt."""


class Recorded(msgspec.Struct, frozen=True):
    """A raw answer."""

    digest: str
    text: str
    end: str = "end"
    """Why it ended, as in `ask.Finish`; `stopped`: it had reached the unchanged text after the edit."""
    timings: Timings = Timings()


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one scenario."""

    name: str
    outcome: Outcome
    reason: str = ""
    """Why nothing was shown."""
    answer: Recorded | None = None


def digest(question: Question) -> str:
    """The digest of a prompt."""
    return hashlib.sha256(f"{question.format}\n{question.text}".encode("utf-8", "replace")).hexdigest()[:16]


def read(folder: Path, scenario: Scenario, question: Question) -> Recorded:
    """The recorded answer. Raises StaleRecording, or InfillError if it is missing or damaged."""
    file = folder / f"{scenario.name}.txt"
    try:
        head, end, text = file.read_text("utf-8").split("\n", 2)
    except FileNotFoundError as exc:
        raise InfillError(f"There is no recorded answer for {scenario.name}.", "Record it from a model with --live.") from exc
    except (OSError, ValueError) as exc:
        raise InfillError(f"{file} is not a recorded answer.", "Record it again with --live.") from exc
    if head != f"prompt: {digest(question)}":
        raise StaleRecording(f"The prompt of {scenario.name} has changed since its answer was recorded.", "Record it again with --live.")
    return Recorded(digest(question), text, end.removeprefix("end: "))


def write(folder: Path, scenario: Scenario, recorded: Recorded) -> None:
    """Store a recorded answer."""
    file = folder / f"{scenario.name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"prompt: {recorded.digest}\nend: {recorded.end}\n{recorded.text}", encoding="utf-8", newline="\n")


def situation_of(scenario: Scenario) -> tuple[Situation, Player]:
    """The document and history at the time of the model's request."""
    player = Player(scenario.before, scenario.language)
    prepare(player, scenario)
    return Situation(document="", language=scenario.language, lines=player.lines, hunks=player.history.of(""), cursor=player.cursor), player


def question_of(scenario: Scenario, name: str) -> Question | None:
    """The prompt in a format; None if there is no request, because nothing was typed last or the format does not support the document."""
    situation, player = situation_of(scenario)
    if player.history.last is None or player.history.last.kind != "typed":
        return None
    path = f"src/{scenario.name.rpartition('/')[2]}"
    return FORMATS[name].ask(model.material(situation, path))


async def live(local: LocalProvider, model_id: str, question: Question, slot: str) -> Recorded:
    """The answer of a running model. Raises ProviderError or ModelError."""
    growing, end, timings = model.Growing(question), "end", Timings()
    async with aclosing(cast("Any", _events(local, model_id, question, slot))) as events:
        async for event in events:
            if isinstance(event, Delta) and end != "stopped":
                # the stream is read to its end, because its report has the number of tokens
                end = "stopped" if growing.add(event.text) else end
            elif isinstance(event, Finish):
                end = event.why if end != "stopped" else end
            elif isinstance(event, Report):
                timings = event.timings
    return Recorded(digest(question), growing.text, end, timings)


def _events(local: LocalProvider, model_id: str, question: Question, slot: str) -> AsyncIterator[Event]:
    stop = Stop(max_tokens=question.max_tokens, deadline_ms=DEADLINE_MS)
    if question.pieces:
        return local.rewrite(Rewriting(slot=slot, model=model_id, pieces=question.pieces, stop=stop))
    return local.generate(Instruction(slot=slot, messages=question.messages, stop=stop), model_id)


def judge(scenario: Scenario, question: Question, recorded: Recorded) -> Judged:
    """What a user would have seen, with all edits accepted, compared with the scenario's expectation."""
    situation, player = situation_of(scenario)
    growing = model.Growing(question)
    for line in recorded.text.splitlines(keepends=True):
        if growing.add(line):
            break
    verdict = model.conclude(growing, question, model.proposing(situation, player.history.undone), cut=recorded.end in CUT)
    before = list(situation.lines)
    after = applied(before, sorted(verdict.edits, key=lambda change: change.first))
    target = before
    for diff in scenario.expected:
        target = diff.apply(target)
    return Judged(name=scenario.name, outcome=_outcome(before, after, target), reason=verdict.reason, answer=recorded)


def _outcome(before: Sequence[str], after: Sequence[str], target: Sequence[str]) -> Outcome:
    if list(after) == list(target):
        return "exact"
    if list(after) == list(before):
        return "unchanged"
    return "nearer" if distance(after, target) < distance(before, target) else "farther"


async def play(folder: Path, name: str, live_model: str, say: Callable[[str], None]) -> list[Judged]:
    """The results of all scenarios. With `live_model`, answers come from that model and are recorded. Raises StaleRecording, InfillError."""
    local = LocalProvider(settings_file.load()[0], lambda: live_model) if live_model else None
    results: list[Judged] = []
    try:
        for scenario in load():
            question = question_of(scenario, name)
            if question is None:
                results.append(Judged(name=scenario.name, outcome="not asked"))
                continue
            if local is not None:
                say(scenario.name)
                recorded = await live(local, live_model, question, f"bench {scenario.name}")
                write(folder, scenario, recorded)
            else:
                recorded = read(folder, scenario, question)
            results.append(judge(scenario, question, recorded))
    finally:
        if local is not None:
            await local.aclose()
    return results


def table(results: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """The number of scenarios by result, with tokens and time if measured."""
    counts = Counter(one.outcome for one in results)
    rows = [[outcome, str(counts[outcome])] for outcome in ("exact", "nearer", "unchanged", "farther", "not asked")]
    timed = [one.answer.timings for one in results if one.answer and one.answer.timings.total_ms]
    if timed:
        figures = ("tokens_evaluated", "tokens_kept", "tokens_generated", "tokens_drafted", "tokens_accepted", "total_ms")
        rows += [[f"median {name.replace('_', ' ')}", f"{statistics.median(getattr(one, name) for one in timed):.0f}"] for name in figures]
    return ["outcome", "scenarios"], rows
