"""Realistic raw answers and the buffer after acceptance, as data: through the whole pipeline, while typing and by key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest_completion import CURSOR, at

from infill.answers.stream import Completion as Reader
from infill.ask import Delta, Finish, Instruction, Prompt
from infill.completion.pipeline import Completer
from infill.completion.types import Indentation
from infill.providers.base import Limits
from infill.providers.cut import Cutter
from infill.providers.fake import Fake, Step
from infill.settings import Completion, Engine, Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ACCEPTED = Path(__file__).parents[2] / "golden" / "accepted"
END = "▌"
PIECE = 4
"""Characters of a streamed piece, as tokens have."""
TURNS = (0.0,) * 6
"""Of the event loop, between two pieces: enough for a first line to be shown."""
SETTINGS = Settings(engine=Engine(prefetch=False, warm=False), completion=Completion(debounce_ms=0))


def cases() -> list[Any]:
    found = []
    for file in sorted(ACCEPTED.glob("*.toml")):
        table = tomllib.loads(file.read_text("utf-8"))
        for case in table["case"]:
            expected = {"typing": case.get("both"), "key": case.get("both")} | {mode: case[mode] for mode in ("typing", "key") if mode in case}
            for mode, after in expected.items():
                if after is not None:
                    whole = {"language": table["language"], "chat": table.get("chat", False), **case, "mode": mode, "after": after}
                    name = f"{file.stem}-{case['name'].replace(' ', '-')}-{mode}"
                    found.append(pytest.param(whole, id=name))
    return found


def pieces(case: dict[str, Any]) -> Iterator[str]:
    """The answer as a provider hands it on: as it comes, or as the reader of chat models' answers lets it through."""
    reader = Reader(case["buffer"].partition(CURSOR)[0], case["language"])
    for start in range(0, len(case["answer"]), PIECE):
        piece = case["answer"][start : start + PIECE]
        yield reader.feed(piece) if case["chat"] else piece
    if case["chat"]:
        yield reader.end()


def streamed(case: dict[str, Any], prompt: Prompt | Instruction) -> Iterator[Step]:
    """In pieces, between which the reader has its turn, up to where every provider ends an answer."""
    cutter = Cutter(prompt.stop)
    for piece in pieces(case):
        if given := cutter.feed(piece):
            yield Delta(given)
        yield from TURNS
        if cutter.ended:
            break
    if rest := cutter.end():
        yield Delta(rest)
    yield Finish(why=cutter.why or "end")


async def accepted(case: dict[str, Any]) -> tuple[list[str], str]:
    """The buffers after each suggestion, and why there was none."""
    tabs = sum(line.startswith("\t") for line in case["buffer"].split("\n"))
    spaces = sum(line.startswith(" ") for line in case["buffer"].split("\n"))
    request = at(
        case["buffer"],
        uri="file:///a",
        path="a",
        language=case["language"],
        automatic=case["mode"] == "typing",
        indentation=Indentation(tabs=tabs > spaces if tabs or spaces else None),
    )
    completer = Completer(Fake(lambda prompt: streamed(case, prompt), limits=Limits(typical_ms=1.0)), SETTINGS)
    try:
        outcome = await completer.complete(request)
    finally:
        await completer.aclose()
    return [request.prefix + one.text + END + request.suffix[one.replaces :] for one in outcome.suggestions], outcome.reason


@pytest.mark.parametrize("case", cases())
async def test_the_buffer_after_acceptance_is_what_the_author_expects(case: dict[str, Any]) -> None:
    shown, reason = await accepted(case)
    assert shown == ([case["after"]] if case["after"] else []), reason


def test_there_are_enough_cases_and_each_is_well_formed() -> None:
    tables = [tomllib.loads(file.read_text("utf-8")) for file in ACCEPTED.glob("*.toml")]
    every = [{"language": table["language"], **case} for table in tables for case in table["case"]]
    assert len(every) >= 200
    assert len({case["language"] for case in every}) >= 8
    for case in every:
        assert case["buffer"].count(CURSOR) == 1, case["name"]
        expected = [case[name] for name in ("both", "typing", "key") if name in case]
        assert expected and all(after.count(END) == (1 if after else 0) for after in expected), case["name"]
