"""An answer is shown again only where all that it was made of still stands: seen from the cursor, with a model that knows what it was shown."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator

import msgspec
import pytest
from conftest_completion import QUIET, Make, Time, at, settle, texts
from hypothesis import given
from hypothesis import strategies as st

from infill.ask import Instruction, Prompt, Report
from infill.completion.pipeline import Completer
from infill.completion.types import CompletionRequest, Neighbour
from infill.providers.base import Limits
from infill.providers.fake import Fake, Step
from infill.settings import Engine, Settings

LIMITS = Limits(prefix_tokens=1000, suffix_tokens=300, snippet_tokens=400, chars_per_token=3, typical_ms=1)
FILLER = "# a line of text between the two\n" * 60
NAME = re.compile(r"def (\w+)\(")


def names_what_it_sees(question: Prompt | Instruction) -> Iterator[Step]:
    """A model that calls the last function that its prompt defines."""
    assert isinstance(question, Prompt)
    seen = NAME.findall("".join(piece.text for piece in question.snippets) + question.prefix) or NAME.findall(question.suffix)
    typed = question.prefix.rpartition("= ")[2]
    yield f"{seen[-1]}()"[len(typed) :] if seen and seen[-1].startswith(typed) else "nothing()"


@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("typed", ["", "n"])
async def test_a_function_renamed_far_above_is_not_suggested_by_its_old_name(completer: Make, automatic: bool, typed: str) -> None:
    one = completer(Fake(names_what_it_sees, limits=LIMITS), QUIET)
    before, after = (f"{FILLER}def {name}():\n    pass\n{FILLER[:2000]}\nx = {{}}█\n" for name in ("new_total", "new_sum"))
    assert texts(await one.complete(at(before.format("")))) == ["new_total()"]
    assert texts(await one.complete(at(after.format(typed), automatic=automatic))) == ["new_sum()"[len(typed) :]]
    one.closed("file:///a.py")
    assert texts(await one.complete(at(after.format(typed), automatic=automatic))) == ["new_sum()"[len(typed) :]]


async def test_a_function_renamed_in_another_file_is_not_suggested_by_its_old_name(completer: Make) -> None:
    one = completer(Fake(names_what_it_sees, limits=LIMITS), QUIET)
    document = "import helpers\nvalue = helpers.compute(value)\n" * 20
    old, new = (Neighbour("helpers.py", f"def {name}(value):\n    helpers.compute(value)\n", 1.0) for name in ("total_of", "sum_of"))
    assert texts(await one.complete(at(f"{document}x = █\n", neighbours=(old,)))) == ["total_of()"]
    assert texts(await one.complete(at(f"{document}x = t█\n", neighbours=(old,)))) == ["otal_of()"]
    assert texts(await one.complete(at(f"{document}x = █\n", neighbours=(new,)))) == ["sum_of()"]
    assert texts(await one.complete(at(f"{document}x = █\n", neighbours=(old,)))) == ["total_of()"], "undone: what was said holds again"


async def test_an_answer_to_one_language_is_not_shown_in_another(completer: Make) -> None:
    provider = Fake(lambda prompt: [f"from_{prompt.path[-2:]}"] if isinstance(prompt, Prompt) else [])
    one = completer(provider, QUIET)
    for uri, path, language in (("file:///a.py", "a.py", "python"), ("file:///b.ts", "b.ts", "typescript"), ("file:///c.go", "c.go", "go")):
        assert texts(await one.complete(at("import █\n", uri=uri, path=path, language=language))) == [f"from_{path[-2:]}"]
    assert len(provider.asked) == 3


async def test_an_answer_that_still_grows_is_given_up_when_what_it_was_made_of_changes(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(lambda prompt: ["old", more, "()\n"] if isinstance(prompt, Prompt) and "old" in prompt.prefix else ["new()\n"], limits=LIMITS)
    one = completer(provider, QUIET)
    first = asyncio.ensure_future(one.complete(at(f"def old(): ...\n{FILLER}x = █\n")))
    await settle()
    outcome = await one.complete(at(f"def new(): ...\n{FILLER}x = █\n"))
    assert texts(outcome) == ["new()"] and len(provider.stopped) == 1
    assert (await first).reason == "superseded"


async def test_asked_by_key_means_asked(completer: Make) -> None:
    said = iter(["typing", "once", "twice"])
    provider = Fake(lambda prompt: [next(said)])
    one = completer(provider, QUIET)
    assert texts(await one.complete(at("x = █\n"))) == ["typing"]
    assert texts(await one.complete(at("x = █\n", automatic=False))) == ["once"]
    assert texts(await one.complete(at("x = █\n", automatic=False))) == ["twice"]
    assert texts(await one.complete(at("x = t█\n"))) == ["wice"], "what was asked by key is typed through"


async def test_asked_by_key_again_while_the_answer_grows_joins_it(completer: Make, time: Time) -> None:
    more = asyncio.Event()
    provider = Fake(["a", more, "b"])
    one = completer(provider, QUIET)
    first = asyncio.ensure_future(one.complete(at("x = █\n", automatic=False)))
    await settle()
    first.cancel()
    second = asyncio.ensure_future(one.complete(at("x = █\n", automatic=False)))
    await settle()
    more.set()
    assert texts(await second) == ["ab"] and len(provider.asked) == 1


async def test_that_there_was_nothing_to_say_is_asked_again_after_a_change(completer: Make) -> None:
    said = iter([[], ["something"]])
    provider = Fake(lambda prompt: next(said))
    one = completer(provider, QUIET)
    for _ in range(2):
        assert texts(await one.complete(at("x = █\n"))) == []
        await settle()
    assert len(provider.asked) == 1
    one.changed(at("x = y█\n"), typed=True)
    one.changed(at("x = █\n"), typed=True)
    assert texts(await one.complete(at("x = █\n"))) == ["something"]


async def test_another_provider_with_a_model_of_the_same_name_makes_old_answers_void(completer: Make) -> None:
    who = ["near"]
    provider = Fake(lambda prompt: ["abc", Report(provider=who[0], model="one")])
    one = completer(provider, QUIET)
    await one.complete(at("x = █\n"))
    who[0] = "far"
    await one.complete(at("y = █\n"))
    await settle()
    await one.complete(at("x = █\n"))
    assert len(provider.asked) == 3


# ---------------------------------------------------------------- whatever is edited


class Edited:
    """A document of numbered lines and a neighbour; the model's answer is a fingerprint of all that it was shown."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.above = [f"above_{number} = {number}" for number in range(self.random.randint(1, 200))]
        self.below = [f"below_{number} = {number}" for number in range(self.random.randint(1, 60))]
        self.other = "\n".join(f"above_{number} = other_{number}" for number in range(40))

    def edit(self, where: str) -> None:
        if where == "other":
            self.other = self.other.replace("other", self.random.choice("pqrs"), 1) if "other" in self.other else "above_1 = new"
            return
        lines = self.above if where == "above" else self.below
        number = self.random.randrange(len(lines))
        lines[number : number + self.random.randint(0, 1)] = [f"edited_{self.random.randrange(10**6)}"]

    def request(self) -> CompletionRequest:
        text = "\n".join([*self.above, "x = █", *self.below])
        return at(text, neighbours=(Neighbour("other.py", self.other, 1.0),))


def fingerprint(question: Prompt | Instruction) -> list[Step]:
    assert isinstance(question, Prompt)
    return [_code(question)]


def _code(prompt: Prompt) -> str:
    return f"f({hash((prompt.prefix, prompt.suffix, prompt.snippets, prompt.path)) % 10**12})"


@given(st.integers(0, 2**32), st.lists(st.sampled_from(["above", "below", "other"]), max_size=6))
def test_after_any_edit_what_is_shown_was_made_of_what_is_there(seed: int, edits: list[str]) -> None:
    """Each part of the prompt that an answer from the cache was made of is found, as it was sent, around the cursor."""

    async def play() -> None:
        provider = Fake(fingerprint, limits=LIMITS)
        one = Completer(provider, Settings(engine=Engine(prefetch=False, warm=False)))
        document = Edited(seed)
        for edit in ["", *edits]:
            if edit:
                document.edit(edit)
            request = document.request()
            outcome = await one.complete(request)
            made = next(prompt for prompt in provider.asked if isinstance(prompt, Prompt) and _code(prompt) == outcome.suggestions[0].text)
            assert request.prefix.endswith(made.prefix) and request.suffix.startswith(made.suffix)
            assert all(piece.text in document.other for piece in made.snippets)
            typed = msgspec.structs.replace(request, prefix=request.prefix + outcome.suggestions[0].text[:5])
            assert (await one.complete(typed)).suggestions[0].text == outcome.suggestions[0].text[5:]
        await one.aclose()

    asyncio.run(play())
