"""The same request again while its first answer is still being generated: an editor sends this at each key of an indentation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infill.ask import Stop
from infill.engine.protocol import Complete, Done, Text, Warm
from infill.engine.runtime import Runtime
from infill.models.fit import Plan
from infill.models.store import locate


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    loaded = Runtime.load(locate("local:bundled"), Plan(context=2048), lambda done: True)
    yield loaded
    loaded.close()


def question(number: int) -> Complete:
    stop = Stop(max_tokens=24, ignore_end=True)
    return Complete(id=number, model="m", slot="a.py", prefix="def area(radius):\n", suffix="\n\nprint(area(2))\n", stop=stop, speculate=False)


def whole(stream: Iterator[Text | Done | None]) -> str:
    return "".join(event.text for event in stream if isinstance(event, Text))


def test_a_question_asked_again_while_it_is_answered_gets_the_same_answer(runtime: Runtime) -> None:
    asked = question(1)
    fresh = whole(runtime.complete(asked))
    assert [*runtime.warm(Warm(id=9, model="m", slot="a.py", prefix=asked.prefix, suffix=asked.suffix))]
    first = runtime.complete(question(2))
    text = ""
    while len(text) < len(fresh) // 2:
        event = next(first)
        text += event.text if isinstance(event, Text) else ""
    assert whole(runtime.complete(question(3))) == fresh
    first.close()
    assert whole(runtime.complete(question(4))) == fresh
