"""Somebody who types, errs, deletes, accepts, gives up and waits, in any order: every request gets one answer, and none is ever wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
from conftest_completion import Time, at, settle
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from infill.ask import Instruction, Prompt
from infill.completion.pipeline import Completer
from infill.completion.types import CompletionRequest, Outcome
from infill.providers.base import Limits
from infill.providers.fake import Fake, Step
from infill.settings import Settings

WRITTEN = """import math
class Circle:
    def __init__(self, radius):
        self.radius = radius
    def area(self):
        return math.pi * self.radius ** 2
def largest(circles):
    best = None
    for circle in circles:
        if best is None or circle.area() > best.area():
            best = circle
    return best
"""
"""What the person means to write, and what the model knows. Without blank lines: those are left out on purpose where the line is blank already."""

actions = st.lists(
    st.one_of(
        st.tuples(st.just("type"), st.integers(1, 6)),
        st.tuples(st.just("err"), st.sampled_from("xq(\n ")),
        st.tuples(st.just("delete"), st.integers(1, 4)),
        st.tuples(st.just("accept"), st.integers(1, 80)),
        st.tuples(st.just("cancel"), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([5, 20, 60, 200, 1000])),
        st.tuples(st.just("ask by key"), st.just(0)),
    ),
    max_size=30,
)


class Person:
    """An editor with somebody in front of it."""

    def __init__(self, completer: Completer, time: Time) -> None:
        self.completer, self.time = completer, time
        self.text = WRITTEN[:40]
        self.asked: list[tuple[CompletionRequest, asyncio.Task[Outcome]]] = []

    async def do(self, action: str, value: int | str) -> None:
        if action == "type":
            for _ in range(int(value)):
                await self.becomes(self.text + self.next_character(), typed=True)
                await self.time.pass_(0.06)
        elif action == "err":
            await self.becomes(self.text + str(value), typed=True)
        elif action == "delete":
            await self.becomes(self.text[: -int(value)] or "i", typed=True)
        elif action == "accept":
            await self.accept(int(value))
        elif action == "cancel" and self.asked:
            self.asked[-1][1].cancel()
        elif action == "wait":
            await self.time.pass_(float(value) / 1000)
        elif action == "ask by key":
            self.ask(automatic=False)
        await settle()

    def next_character(self) -> str:
        return WRITTEN[len(self.text)] if WRITTEN.startswith(self.text) and len(self.text) < len(WRITTEN) else "z"

    async def becomes(self, text: str, *, typed: bool) -> None:
        """The text is another one: the editor gives up its request, tells the server, and asks again."""
        if self.asked:
            self.asked[-1][1].cancel()
        self.text = text
        self.completer.changed(self.request(), typed=typed)
        self.ask()

    async def accept(self, count: int) -> None:
        request, task = self.asked[-1] if self.asked else (None, None)
        if request and task and task.done() and not task.cancelled() and request.prefix == self.text and task.result().suggestions:
            text = task.result().suggestions[0].text[:count]
            self.completer.accepted(request.uri, text)
            await self.becomes(self.text + text, typed=False)

    def ask(self, *, automatic: bool = True) -> None:
        request = self.request(automatic=automatic)
        self.asked.append((request, asyncio.ensure_future(self.completer.complete(request))))

    def request(self, *, automatic: bool = True) -> CompletionRequest:
        return msgspec.structs.replace(at("█"), prefix=self.text, suffix="\n", automatic=automatic)


def knows(question: Prompt | Instruction) -> Iterator[Step]:
    """What follows in WRITTEN, a few characters at a time; nonsense after nonsense."""
    assert isinstance(question, Prompt)
    length = len(question.prefix)
    rest = WRITTEN[length : length + 70] if WRITTEN.startswith(question.prefix) else "nonsense = 0\nand_so_on()"
    for start in range(0, len(rest), 7):
        yield 0.015
        yield rest[start : start + 7]


async def play(script: list[tuple[str, int | str]], latency: float) -> list[tuple[CompletionRequest, asyncio.Task[Outcome]]]:
    """Returns each request with its task; all of them had thirty seconds to end."""
    time = Time()
    provider = Fake(knows, limits=Limits(typical_ms=latency), sleep=time.sleep)
    person = Person(Completer(provider, Settings(), time, time.sleep), time)
    for action, value in script:
        await person.do(action, value)
    await time.pass_(30)
    assert all(task.done() for _, task in person.asked)
    await person.completer.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return person.asked


def is_right(request: CompletionRequest, outcome: Outcome) -> bool:
    """Either suggestions or a reason; what goes on from the text is that text, and nothing of it stays in another one."""
    if bool(outcome.suggestions) == bool(outcome.reason):
        return False
    if WRITTEN.startswith(request.prefix):
        return all(WRITTEN.startswith(request.prefix + suggestion.text) for suggestion in outcome.suggestions)
    return all(not suggestion.text.startswith("import") for suggestion in outcome.suggestions)


@hypothesis_settings(max_examples=60)
@given(actions, st.sampled_from([5.0, 80.0, 400.0]))
def test_whoever_types_gets_one_answer_for_each_request_and_never_a_wrong_one(script: list[tuple[str, int | str]], latency: float) -> None:
    asked = asyncio.run(play(script, latency))
    assert all(is_right(request, task.result()) for request, task in asked if not task.cancelled())
