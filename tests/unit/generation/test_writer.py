"""The writer over a scripted provider: streams, stalls, refusals, cancelling."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from infill.ask import Finish, Instruction, Prompt, Report
from infill.errors import NotAChatModel, ProviderRefused, ProviderUnavailable
from infill.generation.writer import GenerationRequest, Progress, Writer
from infill.providers.fake import Fake, Script
from infill.settings import Generate

TEXT = "import csv\n\n# read a CSV file\n"
AT = len(TEXT) - 1


def _request(**changed: object) -> GenerationRequest:
    base: dict[str, object] = {"slot": "s", "text": TEXT, "start": AT, "end": AT, "language": "python", "model": "local:some"}
    return GenerationRequest(**(base | changed))  # type: ignore[arg-type]


async def _all(script: Script, request: GenerationRequest | None = None) -> tuple[list[Progress], Fake]:
    fake = Fake(script)
    async with aclosing(Writer(fake, Generate()).write(request or _request())) as steps:
        return [step async for step in steps], fake


async def test_the_code_is_shown_while_it_is_written_and_once_when_it_is_done() -> None:
    steps, _ = await _all(["```python\n", "def read():\n", "    return csv\n", "```"])
    assert [step.done for step in steps] == [False, False, False, False, True]
    assert [step.text for step in steps][1:3] == ["\ndef read():", "\ndef read():\n    return csv"]
    assert steps[-1].text == "\ndef read():\n    return csv"
    assert steps[-1].notes == ()


async def test_a_base_model_fills_in_and_the_note_says_that_it_follows_no_instructions() -> None:
    steps, fake = await _all(["x = csv.reader"], _request(follows_instructions=False))
    asked = fake.asked[0]
    assert isinstance(asked, Prompt)
    assert "does not follow instructions" in steps[-1].notes[0]


async def test_a_model_without_a_chat_template_is_asked_to_fill_in_instead() -> None:
    def script(question: Prompt | Instruction) -> list[str | Exception]:
        return ["y = 2"] if isinstance(question, Prompt) else [NotAChatModel("It has no chat template.")]

    steps, fake = await _all(script)
    assert [type(asked) for asked in fake.asked] == [Instruction, Prompt]
    assert steps[-1].text == "\ny = 2"


async def test_a_refused_key_is_not_hidden_behind_a_second_attempt() -> None:
    with pytest.raises(ProviderRefused, match="key"):
        await _all([ProviderRefused("The key was refused.")])


async def test_trouble_in_the_middle_reaches_the_caller() -> None:
    with pytest.raises(ProviderUnavailable):
        await _all(["def read", ProviderUnavailable("gone")])


async def test_a_stalled_model_is_left_at_once_when_the_user_cancels() -> None:
    fake = Fake(["def read", asyncio.Event()])
    seen = asyncio.Event()

    async def consume() -> None:
        async with aclosing(Writer(fake, Generate()).write(_request())) as steps:
            async for _ in steps:
                seen.set()

    task = asyncio.create_task(consume())
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(fake.stopped) == 1


async def test_a_model_that_only_repeats_itself_is_stopped_and_the_repeats_are_cut() -> None:
    steps, fake = await _all(["x = csv.reader\n"] * 50, _request(follows_instructions=False))
    assert steps[-1].text == "\nx = csv.reader"
    assert "output was repeating" in steps[-1].notes[-1]
    assert len(fake.stopped) == 1


async def test_a_line_without_an_end_is_stopped_and_cut_where_it_begins_to_repeat_itself() -> None:
    steps, fake = await _all(["# see https://example.org"] + ["/python"] * 300, _request(follows_instructions=False))
    assert steps[-1].text == "\n# see https://example.org/python"
    assert "output was repeating" in steps[-1].notes[-1]
    assert len(fake.stopped) == 1


LOOP = "def add(a, b):\n    return a + b\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\n"


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
async def test_a_block_of_lines_again_and_again_is_stopped_and_kept_once(size: int) -> None:
    said = "```python\n" + LOOP * 20
    steps, fake = await _all([said[at : at + size] for at in range(0, len(said), size)])
    assert steps[-1].text == f"\n{LOOP.rstrip()}"
    if size < len(LOOP):
        assert "output was repeating" in steps[-1].notes[-1]
        assert len(fake.stopped) == 1


async def test_lines_that_only_count_are_stopped_and_the_first_is_kept() -> None:
    said = ["def even(n):\n    return n % 2 == 0\n\n\n", *(f"even({number})  # {number % 2 == 0}\n" for number in range(0, 400, 2))]
    steps, fake = await _all(said)
    assert steps[-1].text == "\ndef even(n):\n    return n % 2 == 0\n\n\neven(0)  # True"
    assert len(fake.stopped) == 1


async def test_code_that_only_resembles_itself_is_no_circle() -> None:
    cases = "".join(f"def test_{number}():\n    assert value({number}) == {number}\n\n\n" for number in range(30))
    table = "DATA = [\n" + "    {\n        'a': 0,\n    },\n" * 3 + "]\n"
    for code in (cases.rstrip(), table.rstrip()):
        steps, _ = await _all([f"```python\n{code}\n```"])
        assert steps[-1].text == f"\n{code}"


async def test_prose_is_not_put_into_the_file() -> None:
    steps, _ = await _all(["I am happy to help. ", "Could you tell me what the function should do?"])
    assert [step.text for step in steps] == ["", "", ""]
    assert "no code" in steps[-1].notes[-1]


async def test_reasoning_is_told_as_progress_and_not_shown() -> None:
    steps, _ = await _all(["<think>\nThe user wants", " x = 1\n", "</think>\n", "```python\nx = 2\n```"])
    assert [step.thinking for step in steps] == [True, True, False, False, False]
    assert [step.text for step in steps] == ["", "", "", "\nx = 2", "\nx = 2"]


async def test_in_an_empty_document_the_language_and_the_wish_are_asked_for_and_nothing_else() -> None:
    _, fake = await _all(["x"], _request(text="\n", start=0, end=0, instruction="a binary search", language="cpp"))
    asked = fake.asked[0]
    assert isinstance(asked, Instruction)
    assert asked.messages[-1].content == "Write this in C++: a binary search"
    assert not asked.thinking


async def test_an_answer_that_broke_off_says_so_and_names_the_model() -> None:
    report = Report(provider="local", model="", interrupted="The engine crashed.")
    steps, _ = await _all(["def read():\n", Finish(0, why="stopped"), report])
    assert steps[-1].interrupted == "The engine crashed."
    assert steps[-1].model == "local:some"
    assert "incomplete: The engine crashed." in steps[-1].notes[-1]


async def test_a_table_of_zeros_is_no_circle() -> None:
    row = f"ROW = [{', '.join(40 * ['0'])}]"
    steps, _ = await _all([f"```python\n{row}\n```"])
    assert steps[-1].text == f"\n{row}"


async def test_an_answer_that_hits_the_token_limit_ends_at_a_whole_statement() -> None:
    steps, _ = await _all(["def read():\n    a = 1\n    b = (a +", Finish(0, why="length")])
    assert steps[-1].text == "\ndef read():\n    a = 1"
    assert "1024 tokens" in steps[-1].notes[-1]
