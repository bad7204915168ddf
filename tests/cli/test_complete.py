"""`infill complete` with the real engine and the bundled model."""

from __future__ import annotations

import pytest
from commands import Shell

EXAMPLE = "def parse(text):\n    try:\n        value = float(text)\n    \n        return None\n    return value\n"
ADD = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    "


@pytest.fixture(scope="module")
def example(shell: Shell) -> str:
    (shell.folder / "example.py").write_text(EXAMPLE)
    (shell.folder / "add.py").write_text(ADD)
    return "example.py:4:5"


def test_it_prints_the_suggestion_and_nothing_else(shell: Shell, example: str) -> None:
    ran = shell.run("complete", example)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip()


def test_json_tells_everything_about_the_answer(shell: Shell, example: str) -> None:
    ran = shell.run("complete", example, "--json")
    assert set(ran.facts) == {"items", "model", "provider", "source", "timings", "reason", "notes"}
    assert ran.facts["model"] == "local:bundled"
    assert ran.facts["provider"] == "local"
    assert ran.facts["source"] == "model"
    assert ran.facts["reason"] == ""
    item = ran.facts["items"][0]
    assert set(item) == {"text", "range", "logprob"}
    assert item["range"]["start"] == {"line": 4, "column": 5}
    assert ran.facts["timings"]["total_ms"] > 0


def test_several_suggestions_differ(shell: Shell, example: str) -> None:
    texts = [item["text"] for item in shell.run("complete", "add.py:6:5", "--n", "3", "--json").facts["items"]]
    assert 2 <= len(texts) <= 3
    assert len(set(texts)) == len(texts)


def test_nothing_to_suggest_is_no_failure_and_has_its_reason(shell: Shell, example: str) -> None:
    settings = shell.home / "config" / "settings.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("[languages]\nmarkdown = false\n")
    (shell.folder / "notes.md").write_text("Some words\n")
    ran = shell.run("complete", "notes.md:1:11", "--json")
    assert ran.code == 0
    assert ran.facts["items"] == []
    assert ran.facts["reason"] == "switched off for markdown"
    assert shell.run("complete", "notes.md:1:11").err == "Nothing to suggest: switched off for markdown.\n"


@pytest.mark.parametrize("place", ["add.py:99:1", "add.py:6:999", "add.py:0:0"])
def test_a_position_outside_the_file_is_moved_into_it(shell: Shell, example: str, place: str) -> None:
    assert shell.run("complete", place, "--json").code == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("windows.py", ADD.replace("\n", "\r\n").encode()),
        ("mark.py", b"\xef\xbb\xbf" + ADD.encode()),
        ("binary.py", bytes(range(256)) * 40),
        ("zero.py", b"x = 1\n\0\0\0\n"),
        ("empty.py", b""),
        ("latin.py", "# caf\u00e9\nx = ".encode("latin-1")),
        ("longline.py", b"x = [" + b"1, " * 40_000 + b"]\n"),
        ("large.py", ADD.encode() * 200_000),
    ],
)
def test_whatever_a_file_holds_it_gets_an_answer(shell: Shell, example: str, name: str, content: bytes) -> None:
    (shell.folder / name).write_bytes(content)
    ran = shell.run("complete", f"{name}:1:3", "--json")
    assert ran.code == 0, ran.err
    assert ran.facts["items"] or ran.facts["reason"]


def test_a_terminal_shows_the_suggestion_where_it_would_stand(shell: Shell, example: str) -> None:
    shown = shell.on_a_terminal("complete", example).out
    assert "value = float(text)" in shown
    assert "local:bundled in" in shown


def test_text_from_a_file_cannot_steer_the_terminal(shell: Shell, example: str) -> None:
    (shell.folder / "escape.py").write_text('title = "\x1b]0;owned\x07"\n' + EXAMPLE)
    shown = shell.on_a_terminal("complete", "escape.py:5:5").out
    assert "\x1b]0;" not in shown
