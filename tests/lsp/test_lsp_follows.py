"""The page "How a completion travels" names the functions that a real request calls, in the order of the calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from raw_editor import RawEditor

PAGE = Path(__file__).parents[2] / "docs" / "develop" / "completion.md"
SOURCE = "def add(a, b):\n    return a\n\n\ndef sub(a, b):\n    return "


def named() -> list[str]:
    """`file:function` for each row of the page."""
    return [f"{file}:{function}" for function, file in re.findall(r"^\| `(\w+)` \| `([\w/.]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)]


def missing(rows: list[str], called: list[str]) -> str:
    """The first row that was not called after the rows before it; empty if all were called in order."""
    rest = iter(called)
    return next((row for row in rows if row not in rest), "")


@pytest.fixture
def editor(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RawEditor]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).with_name("following")))
    monkeypatch.setenv("INFILL_TEST_FOLLOW", str(tmp_path / "calls"))
    editor = RawEditor()
    editor.initialize(home)
    yield editor
    editor.kill()


def ask(editor: RawEditor, uri: str) -> list[dict[str, object]]:
    line, before = SOURCE.count("\n"), SOURCE.rpartition("\n")[2]
    where = {"textDocument": {"uri": uri}, "position": {"line": line, "character": len(before)}, "context": {"triggerKind": 1}}
    items: list[dict[str, object]] = editor.ask("textDocument/inlineCompletion", where)["result"]["items"]
    return items


def test_a_completion_passes_the_functions_of_the_page_in_their_order(editor: RawEditor, home: Path, tmp_path: Path) -> None:
    uri = (home / "calc.py").as_uri()
    editor.open(uri, SOURCE)
    assert any(ask(editor, uri) for _ in range(10)), "a busy machine may not load the model within the deadline of a request"
    called = (tmp_path / "calls").read_text("utf-8").split("\n")
    assert len(named()) > 25
    assert missing(named(), called) == ""


def test_another_order_would_be_noticed() -> None:
    assert missing(["a", "b"], ["b", "a"]) == "b"
    assert missing(["a", "b"], ["a", "c", "b"]) == ""
