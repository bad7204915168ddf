"""What docs/develop/protocol.md promises of commands is what the code takes and gives."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from scripted_editor import NewEditor

from infill.ask import Report, Timings
from infill.engine.protocol import ModelStatus, SlotStatus, Status
from infill.lsp.engine import account
from infill.lsp.offer import Model
from infill.lsp.status import Line

PAGE = (Path(__file__).parents[3] / "docs" / "develop" / "protocol.md").read_text("utf-8").partition("## The engine's wire")[0]
ROWS = re.findall(r"^\| (`infill\.\w+`(?:, `infill\.\w+`)*) \| (.*?) \| .* \|$", PAGE, re.MULTILINE)


def promised() -> dict[str, str]:
    return {name: argument for names, argument in ROWS for name in re.findall(r"infill\.\w+", names)}


def fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


async def test_every_command_is_on_the_page_and_no_other(new_editor: NewEditor) -> None:
    assert set(promised()) == set(new_editor().server.commands.names)


async def test_every_argument_on_the_page_is_taken(new_editor: NewEditor) -> None:
    verbs = new_editor().server.commands._verbs
    for name, argument in promised().items():
        if argument.startswith("`{"):
            named = set(re.findall(r"(\w+)\??(?=[:,}]| \\\|)", re.sub(r'"\w+"', "", argument))) - {"boolean", "string"}
            assert named <= fields(verbs[name].argument), name


@pytest.mark.parametrize(("kind", "start"), [(Model, "`Model` is `{"), (Line, "`infill/status` | server to client | `{")])
def test_what_is_told_has_exactly_the_fields_on_the_page(kind: type[msgspec.Struct], start: str) -> None:
    text = re.sub(r'"[\w ]+"|[\\|\s]', " ", PAGE.partition(start)[2].partition("}`")[0])
    assert {name.partition(":")[0].strip() for name in text.split(",")} == fields(kind)


def listed(start: str) -> set[str]:
    """The names in the braces that follow."""
    return set(re.findall(r"\w+", PAGE.partition(f"{start} is `{{")[2].partition("}`")[0]))


async def test_an_explanation_has_exactly_what_the_page_says(new_editor: NewEditor) -> None:
    editor = new_editor(["foo()", Report(provider="fake", model="m", timings=Timings(tokens_drafted=4))])
    await editor.start()
    nothing = await editor.command("infill.explain")
    editor.open("x = ")
    assert await editor.ghosts(0, 4)
    told = await editor.command("infill.explain")
    assert set(told) == listed("What `infill.explain` tells")
    assert set(nothing) <= set(told) and nothing["request"] is None
    for part in ("request", "timings", "prompt", "answer"):
        assert set(told[part]) == listed(f"- `{part}`"), part


class Engine:
    """A provider whose engine has a model in memory."""

    async def status(self) -> Status:
        model = ModelStatus(model="local:m", tokens_evaluated=4863, tokens_generated=70, slots=(SlotStatus(slot="a", tokens=9),))
        return Status(id=1, pid=1, version="1", state="ready", models=(model,))


async def test_the_engines_account_of_a_model_has_exactly_what_the_page_says() -> None:
    told = await account(Engine())  # type: ignore[arg-type]
    assert told is not None
    (model,) = told["models"]
    assert set(model) == listed("each of `models`")
    assert (model["tokensEvaluated"], model["tokensGenerated"]) == (4863, 70)
