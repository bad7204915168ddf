"""Golden cases of generation: tests/golden/generation.toml (from an answer to the document) and prompts.toml (from a cursor to what is asked).

Adding one needs no code.
"""

from __future__ import annotations

import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from infill.ask import Instruction, Prompt
from infill.errors import RequestError
from infill.generation import answer, place
from infill.generation.writer import GenerationRequest, Writer
from infill.providers.base import Limits
from infill.providers.fake import Fake
from infill.settings import Generate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOLDEN = Path(__file__).parents[2] / "golden"
CASES, PROMPTS = (tomllib.loads((GOLDEN / f"{name}.toml").read_text("utf-8"))["case"] for name in ("generation", "prompts"))
OPENING = "You write source code inside an editor. Answer with the code alone, in one fenced block"


def _marked(text: str) -> tuple[str, int, int]:
    if "«" in text:
        start, end = text.index("«"), text.index("»") - 1
        return text.replace("«", "").replace("»", ""), start, end
    cursor = text.index("|")
    return text[:cursor] + text[cursor + 1 :], cursor, cursor


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_document_afterwards_is_what_a_person_expects(case: dict[str, Any]) -> None:
    text, start, end = _marked(case["text"])
    where = place.find(text, start, end, case["language"], case.get("instruction", ""), case.get("unit", "    "))
    assert where.instruction == case["wants"]
    before, after = text[: where.start], text[where.end :]
    fim = case.get("by") == "fim"
    said = answer.Raw(text=case["answer"], from_fim=fim, language=case["language"], cut_short=case.get("cut_short", False))
    placed = answer.placed(said, where, before, after)
    if not placed:
        before, after = text, ""
    assert before + placed + after == case["after"]


async def _asked(case: dict[str, Any], *, follows_instructions: bool) -> Prompt | Instruction:
    """What the writer asks a provider."""
    text, start, end = _marked(case["text"])
    window = case.get("window", 100_000)
    fake = Fake(["code"], limits=Limits(prefix_tokens=window, suffix_tokens=0, chars_per_token=1.0))
    request = GenerationRequest(
        slot="s",
        text=text,
        start=start,
        end=end,
        language=case["language"],
        path=case["path"],
        instruction=case.get("instruction", ""),
        unit=case.get("unit", "    "),
        follows_instructions=follows_instructions,
    )
    async with aclosing(Writer(fake, Generate()).write(request)) as steps:
        notes = [step.notes async for step in steps][-1]
    assert any("left out" in note for note in notes) == ("window" in case)
    return fake.asked[0]


@pytest.mark.parametrize("case", PROMPTS, ids=[case["name"] for case in PROMPTS])
async def test_a_base_model_goes_on_behind_what_is_wanted_said_in_the_languages_own_comment(case: dict[str, Any]) -> None:
    asked = await _asked(case, follows_instructions=False)
    assert isinstance(asked, Prompt)
    assert f"{asked.prefix}|{asked.suffix}" == case["fim"]


@pytest.mark.parametrize("case", PROMPTS, ids=[case["name"] for case in PROMPTS])
async def test_an_instruct_model_is_told_the_file_the_place_and_what_is_wanted(case: dict[str, Any]) -> None:
    asked = await _asked(case, follows_instructions=True)
    assert isinstance(asked, Instruction)
    system, user = asked.messages
    assert system.content.startswith(OPENING)
    assert f"{user.content}\n" == case["told"]


def test_a_place_with_nothing_to_go_by_is_refused_with_the_next_step() -> None:
    with pytest.raises(RequestError, match="Nothing here says what to write") as refused:
        place.find("x = 1\n", 5, 5, "python", "", "    ")
    assert "Write a comment" in refused.value.hint


def test_a_selection_needs_an_instruction() -> None:
    with pytest.raises(RequestError, match="how the selection should be rewritten"):
        place.find("x = 1\n", 0, 5, "python", "  ", "    ")


def test_a_selection_of_white_space_is_nothing_to_rewrite() -> None:
    with pytest.raises(RequestError, match="Nothing but white space"):
        place.find("x = 1\n\n\ny = 2\n", 6, 8, "python", "shorter", "    ")


def test_an_instruction_of_a_megabyte_is_refused_in_a_sentence() -> None:
    with pytest.raises(RequestError, match="20,000 are the most"):
        place.find("\n", 0, 0, "python", "x" * 1_000_000, "    ")


def test_unfinished_answers_never_show_a_fence_or_a_thought() -> None:
    whole = "<think>hm</think>\nHere is the code:\n```python\nx = 1\ny = 2\n```\nEnjoy!"
    for length in range(len(whole)):
        assert "```" not in answer.code_of(whole[:length])
        assert "hm" not in answer.code_of(whole[:length])
    assert answer.code_of(whole) == "x = 1\ny = 2"
