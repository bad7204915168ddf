"""Whatever a repository contains, the server starts, answers its status and completes, and says what it left out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lsprotocol import types

from infill.lsp import rules as rules_module
from infill.lsp.documents import Documents
from infill.privacy import trust
from infill.settings import Settings, resolve
from raw_editor import NewRawEditor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="most of these files cannot exist on Windows")

NAME = "a" * 60 + ".py"
MOST_CALLS = 1_000_000
Build = Callable[[Path], object]


def write(name: str, content: str) -> Build:
    return lambda folder: (folder / name).write_text(content)


def link(name: str, target: str) -> Build:
    return lambda folder: (folder / name).symlink_to(target)


def sparse(name: str, size: int) -> Build:
    def build(folder: Path) -> None:
        with (folder / name).open("wb") as stream:
            stream.truncate(size)

    return build


def deep_rules(folder: Path) -> None:
    for _ in range(40):
        for name in (".gitignore", ".infillignore"):
            (folder / name).write_text("*a*b*c\n" * 2_000)
        folder /= "d"
        folder.mkdir()


REFUSED: dict[str, Build] = {
    "ignore file is an endless device": link(".gitignore", "/dev/zero"),
    "infillignore is an endless device": link(".infillignore", "/dev/zero"),
    "ignore file is the server's own input": link(".gitignore", "/proc/self/fd/0"),
    "ignore file is the server's terminal": link(".gitignore", "/dev/tty"),
    "ignore file is a pipe": lambda folder: os.mkfifo(folder / ".gitignore"),
    "infillignore is a pipe": lambda folder: os.mkfifo(folder / ".infillignore"),
    "ignore file is a folder": lambda folder: (folder / ".gitignore").mkdir(),
    "ignore file is a loop of links": link(".gitignore", ".gitignore"),
    "ignore file is a link out of the workspace": link(".gitignore", "/etc/passwd"),
    "300,000 patterns": write(".gitignore", "".join(f"*a{n}*b\n" for n in range(300_000))),
    "20,000 short patterns": write(".gitignore", "*?\n!*\n" * 10_000),
    "a pattern of a megabyte": write(".gitignore", "*a" * 500_000),
    "a sparse ignore file of 4 GiB": sparse(".gitignore", 1 << 32),
}
HARMLESS: dict[str, Build] = {
    "a pattern of many stars": write(".gitignore", "*a" * 20 + "*b\n"),
    "a pattern of many stars in infillignore": write(".infillignore", "*a" * 400 + "*b\n"),
    "many folders of any depth": write(".gitignore", "**/a*/" * 100 + "b\n"),
    "sets and classes": write(".gitignore", "[[:alpha:]*" * 90 + "\n"),
    "bytes that are no text": lambda folder: (folder / ".gitignore").write_bytes(bytes(range(256)) * 20),
    "exclude with many stars": write(".infill.toml", 'exclude = ["' + "*a" * 20 + '*b"]\n'),
    "privacy.exclude with many stars": write(".infill.toml", '[privacy]\nexclude = ["' + "*a" * 300 + '*b"]\n'),
}
SLOW: dict[str, Build] = {
    # refused or not: that is a question of the machine's speed
    "slow rules below folders": deep_rules,
    "9,999 slow patterns": write(".infillignore", "*a*b*c*d*e*f*g*h*i*j\n" * 9_999),
}
EDITORCONFIG: dict[str, Build] = {
    "editorconfig of many stars": write(".editorconfig", ("[" + "*a" * 500 + "]\nindent_size = 3\n") * 250),
    "editorconfig of many braces": write(".editorconfig", ("[" + "{*a,*b}" * 140 + "]\nindent_size = 3\n") * 250),
    "editorconfig is an endless device": link(".editorconfig", "/dev/zero"),
    "editorconfig is a pipe": lambda folder: os.mkfifo(folder / ".editorconfig"),
    "editorconfig of short lines": write(".editorconfig", "a\n" * 130_000),
}
SETTINGS: dict[str, Build] = {
    "settings nested 3,000 deep": write(".infill.toml", "languages = " + "[" * 3_000),
    "tables nested 3,000 deep": write(".infill.toml", "a = " + "{a=" * 3_000),
    "a dotted key of 60,000 parts": write(".infill.toml", "a." * 60_000 + "b = 1\n"),
    "a dotted header within the limit of size": write(".infill.toml", "[" + "a." * 7_000 + "b]\n"),
    "dotted keys in lines": write(".infill.toml", "".join("a." * 101 + f"b{n} = 1\n" for n in range(70))),
    "dots behind a line end that is none": write(".infill.toml", ("a." * 90 + '"\u2028".') * 60 + "b = 1\n"),
    "settings are an endless device": link(".infill.toml", "/dev/zero"),
    "settings are a pipe": lambda folder: os.mkfifo(folder / ".infill.toml"),
    "settings are the server's own input": link(".infill.toml", "/proc/self/fd/0"),
    "settings are a folder": lambda folder: (folder / ".infill.toml").mkdir(),
    "settings are no UTF-8": lambda folder: (folder / ".infill.toml").write_bytes(b"\xff\xfe\x00"),
    "settings hold a huge number": write(".infill.toml", "a = " + "9" * 10_000),
    "settings of 4 GiB": sparse(".infill.toml", 1 << 32),
}
EVERY = REFUSED | HARMLESS | SLOW | EDITORCONFIG | SETTINGS


def test_there_are_more_than_twenty_hostile_workspaces() -> None:
    assert len(EVERY) > 30


@pytest.mark.parametrize("name", EVERY)
def test_the_server_answers_in_a_hostile_workspace(new_raw_editor: NewRawEditor, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    EVERY[name](folder)
    editor = new_raw_editor(cwd=folder)
    assert "error" not in editor.initialize(folder)
    document = (folder / NAME).as_uri()
    editor.open(document, "def add(a, b):\n    return ")
    assert editor.command("infill.status")["kind"] != "error"
    answer = editor.complete(document, 1, 11)
    assert "error" not in answer
    explained = editor.command("infill.explain")
    assert explained["request"]["uri"] == document
    if name in REFUSED:
        assert "cannot be evaluated" in explained["refused"] or "could not be evaluated in time" in explained["refused"]
    if name in HARMLESS | EDITORCONFIG:
        assert explained["refused"] == ""
    if name in SETTINGS:
        assert any(".infill.toml is ignored" in told["params"].get("message", "") for told in editor.notifications)
    assert editor.leave() == 0


def calls_of(action: Callable[[], object]) -> int:
    """How many functions are called, C functions included: the same on a slow machine and on a fast one."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def judge(folder: Path) -> None:
    """What a first completion needs to know of a workspace."""
    said, _ = trust.read_workspace_file(folder)
    settings, _ = resolve(trust.combine({}, said, Settings())[0])
    documents = Documents()
    documents.folders = [folder]
    rules = rules_module.Rules(documents)
    rules.configure(settings)
    document = documents.open(types.TextDocumentItem((folder / NAME).as_uri(), "python", 1, "x"))
    assert document.path is not None
    refused, _, _ = rules_module._look(rules._guard, document.path, 1, folder)
    rules.disabled(document, rules_module.Verdict(refused=refused))


@pytest.mark.parametrize("name", [name for name in EVERY if name not in SLOW])
def test_a_hostile_workspace_is_judged_with_bounded_work(tmp_path: Path, name: str) -> None:
    """The server answers within a second: a machine of today makes some ten million calls in one. (SLOW rules end at a limit of CPU time.)"""
    EVERY[name](tmp_path)
    assert calls_of(lambda: judge(tmp_path)) < MOST_CALLS


def test_a_deep_file_is_refused_and_completed(new_raw_editor: NewRawEditor, tmp_path: Path) -> None:
    editor = new_raw_editor()
    editor.initialize(tmp_path)
    document = tmp_path.joinpath(*"d" * 900, "main.py").as_uri()
    editor.open(document, "x = ")
    assert "error" not in editor.complete(document, 0, 4)
    assert "folders deep" in editor.command("infill.explain")["refused"]


@pytest.mark.parametrize("name", ["ignore file is an endless device", "ignore file is a pipe"])
def test_an_unopened_file_that_is_a_device_or_a_pipe_is_refused(new_raw_editor: NewRawEditor, tmp_path: Path, name: str) -> None:
    REFUSED[name](tmp_path)
    editor = new_raw_editor()
    editor.initialize(tmp_path)
    answer = editor.complete((tmp_path / ".gitignore").as_uri(), 0, 0)
    assert "not a regular file" in answer["error"]["message"]
    assert editor.leave() == 0


def test_a_file_system_that_does_not_answer_costs_no_completion(new_raw_editor: NewRawEditor, tmp_path: Path) -> None:
    """A judging thread that hangs is acted out: the answer is refusal, and the process ends all the same."""
    program = (
        "import threading, sys\n"
        "from infill.lsp import rules\n"
        "rules._look = lambda *a: threading.Event().wait()\n"
        "from infill.lsp.start import stdio, serve\n"
        "serve(stdio())\n"
    )
    editor = new_raw_editor(program=program)
    editor.initialize(tmp_path)
    document = (tmp_path / "main.py").as_uri()
    editor.open(document, "x = ")
    assert "error" not in editor.complete(document, 0, 4)
    assert "error" not in editor.complete(document, 0, 4)
    assert editor.leave() == 0


def test_the_rules_of_an_ordinary_repository_are_judged_within_the_limits(tmp_path: Path) -> None:
    from infill.privacy.files import Guard
    from infill.settings import Privacy

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("".join(f"build{n}/\n*.o{n}\n/docs/**/gen{n}_?.[ch]\n" for n in range(300)))
    guard = Guard([tmp_path], Privacy())
    assert guard.refusal(tmp_path / "src" / "main.py") == ""
    assert guard.refusal(tmp_path / "build7" / "main.py") == ".gitignore names it"
