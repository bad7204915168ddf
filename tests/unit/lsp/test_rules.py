"""What is known about files that serve as context: it is renewed too, whether they are open or were closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from lsprotocol import types

from infill.lsp import rules as rules_module
from infill.lsp.documents import Document, Documents
from infill.lsp.rules import REMEMBERED_SECONDS, RENEWAL_SECONDS, Rules
from infill.lsp.snapshot import Snapshots
from infill.settings import Privacy, Settings


class Workspace:
    """Documents of a folder, with a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 100.0
        self.documents = Documents(clock=lambda: self.now)
        self.documents.folders = [folder]
        self.rules = Rules(self.documents, clock=lambda: self.now)
        self.rules.configure(Settings())
        self.snapshots = Snapshots(self.documents, self.rules)

    def open(self, name: str) -> Document:
        item = types.TextDocumentItem((self.folder / name).as_uri(), "python", 1, f"# {name}\n")
        document = self.documents.open(item)
        self.snapshots.opened(document)
        return document

    async def edited_and_closed(self, name: str) -> Document:
        document = self.open(name)
        document.edited = self.now
        await self.rules.judge(document)
        self.documents.close(document.uri)
        assert self.snapshots.closed(document)
        return document

    async def shown_in(self, document: Document) -> list[str]:
        """The files that a request in `document` shows now."""
        verdict = await self.rules.judge(document)
        await self.rules.renew(self.snapshots.context())
        return [one.path for one in self.snapshots.take(document, (0, 0), verdict).neighbours]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(rules_module, "CONTEXT_SECONDS", 30.0)  # the machine may be busy
    return Workspace(tmp_path)


async def test_a_file_that_is_ignored_from_now_on_is_no_context_any_more(workspace: Workspace) -> None:
    document = workspace.open("notes.py")
    assert (await workspace.rules.judge(document)).refused == ""
    (workspace.folder / ".gitignore").write_text("notes.py\n")
    await workspace.rules.renew([document])
    assert workspace.rules.known(document).refused == "", "a verdict stands for a while"
    workspace.now += REMEMBERED_SECONDS
    await workspace.rules.renew([document])
    assert workspace.rules.known(document).refused == ".gitignore names it"


async def test_a_verdict_is_renewed_in_the_background_before_it_expires(workspace: Workspace) -> None:
    document = workspace.open("notes.py")
    await workspace.rules.judge(document)
    workspace.now += RENEWAL_SECONDS
    await workspace.rules.renew([document])
    await workspace.rules.renew([document])
    assert len(workspace.rules._looking) == 1, "it is looked at once"
    await asyncio.wait(set(workspace.rules._looking.values()))
    await asyncio.sleep(0)
    assert workspace.rules.known(document).at == workspace.now


def ignore(workspace: Workspace) -> None:
    (workspace.folder / ".gitignore").write_text("left.py\n")


def ignore_here_only(workspace: Workspace) -> None:
    (workspace.folder / ".infillignore").write_text("left.py\n")


def exclude(workspace: Workspace) -> None:
    workspace.rules.configure(Settings(privacy=Privacy(exclude=["left.py"])))


def close_its_folder(workspace: Workspace) -> None:
    workspace.documents.folders = [workspace.folder / "elsewhere"]
    workspace.rules.configure(Settings())


@pytest.mark.parametrize("refuse", [ignore, ignore_here_only, exclude, close_its_folder])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
async def test_the_first_request_after_a_file_was_excluded_does_not_show_it(
    workspace: Workspace, refuse: Callable[[Workspace], None], closed: bool
) -> None:
    if closed:
        await workspace.edited_and_closed("left.py")
    else:
        workspace.open("left.py")
    asked = workspace.open("main.py")
    assert await workspace.shown_in(asked) == ["left.py"]
    refuse(workspace)
    workspace.now += REMEMBERED_SECONDS
    assert await workspace.shown_in(asked) == []


async def test_an_excerpt_of_a_closed_file_is_shown_again_once_its_rules_allow_it(workspace: Workspace) -> None:
    await workspace.edited_and_closed("left.py")
    asked = workspace.open("main.py")
    ignore(workspace)
    workspace.now += REMEMBERED_SECONDS
    assert await workspace.shown_in(asked) == []
    (workspace.folder / ".gitignore").unlink()
    workspace.now += REMEMBERED_SECONDS
    assert await workspace.shown_in(asked) == ["left.py"]


async def test_a_file_whose_rules_cannot_be_read_in_time_is_no_context_until_they_are(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    await workspace.edited_and_closed("left.py")
    asked = workspace.open("main.py")
    assert await workspace.shown_in(asked) == ["left.py"]
    look, answered = rules_module._look, threading.Event()

    def slow(guard: object, path: Path, *others: object) -> object:
        if path.name == "left.py":
            answered.wait(60)
        return look(guard, path, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(rules_module, "_look", slow)
    monkeypatch.setattr(rules_module, "CONTEXT_SECONDS", 0.01)
    workspace.now += REMEMBERED_SECONDS
    try:
        await workspace.rules.judge(asked)
        assert await workspace.shown_in(asked) == []
        looking = set(workspace.rules._looking.values())
    finally:
        answered.set()
    await asyncio.wait(looking)
    await asyncio.sleep(0)
    assert await workspace.shown_in(asked) == ["left.py"]


@pytest.mark.parametrize(
    ("patterns", "path", "said"),
    [
        (["*a" * 20 + "*b"] * 3, "a" * 200 + ".py", ""),
        ([f"x{n}" for n in range(9_000)], "d/" * 900 + "main.py", "folders deep"),
        ([f"*{n}*a*b*c*d" for n in range(9_000)], "d/" * 60 + "a" * 200 + ".py", "cannot be evaluated"),
        (["main.py"], "src/main.py", "names this file"),
        ([], "d/" * 900 + "main.py", ""),
    ],
    ids=["stars", "deep", "slow", "named", "deep without patterns"],
)
def test_the_setting_exclude_is_evaluated_within_limits_and_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, patterns: list[str], path: str, said: str
) -> None:
    """It is evaluated in the event loop, and a workspace may set it."""
    workspace.rules.configure(Settings(exclude=patterns))
    document = workspace.open(path)
    first = workspace.rules.disabled(document, rules_module.Verdict())
    assert said in first
    assert bool(first) is bool(said)
    monkeypatch.setattr(workspace.rules, "_exclusion", lambda document: pytest.fail("it was evaluated again"))
    assert workspace.rules.disabled(document, rules_module.Verdict()) == first
