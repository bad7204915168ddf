"""What docs/develop/protocol.md promises of commands is what the code takes and gives."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from scripted_editor import NewEditor

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
