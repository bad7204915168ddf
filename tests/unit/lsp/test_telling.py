"""What the editor is told unasked: status, progress, messages; and what it tells of suggestions."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from scripted_editor import GHOST, Editor, NewEditor

from infill import paths
from infill.ask import Report, Timings
from infill.engine.protocol import Changed
from infill.errors import EngineCrashed, InfillError, ModelMissing, ProviderRefused, ProviderUnavailable
from infill.lsp import status
from infill.providers.fake import Step
from infill.stats import MOST_WAITING, Event, Statistics, percentile

PROGRESS = GHOST | {"window": {"workDoneProgress": True}}


def kinds(editor: Editor) -> list[str]:
    return [line["kind"] for line in editor.said("infill/status")]


async def test_the_status_is_told_at_the_start_and_only_when_it_changes(editor: Editor) -> None:
    editor.open("x = ")
    await editor.ghosts(0, 4)
    await editor.ghosts(0, 4)
    lines = editor.said("infill/status")
    assert all(one != other for one, other in itertools.pairwise(lines))
    ready = {
        "kind": "ready",
        "message": "Ready",
        "provider": "fake",
        "model": "fake",
        "busy": False,
        "languagesOff": [],
        "generates": "local:bundled",
    }
    assert lines[-1] == ready | {"offline": lines[-1]["offline"]}


async def test_the_status_says_which_languages_are_off_and_that_the_network_is_not_used(new_editor: NewEditor) -> None:
    editor = new_editor()
    await editor.start(options={"privacy": {"offline": True}, "languages": {"markdown": False}})
    await editor.command("infill.toggle", {"language": "python"})
    last = editor.said("infill/status")[-1]
    assert last["offline"] is True
    assert last["languagesOff"] == ["markdown", "python"]


async def test_an_editor_with_buttons_is_told_the_kind_of_error_and_no_shell_command(new_editor: NewEditor) -> None:
    editor = new_editor([ModelMissing("The model's file is missing.", "Run `infill models get x`.")])
    await editor.start(GHOST | {"experimental": {"commands": {"commands": ["infill.showTrouble"]}}})
    editor.open("x = ")
    for _ in range(2):
        await editor.ghosts(0, 4)
    told = {"error": "ModelMissing", "message": "The model's file is missing.", "severity": "warning"}
    assert editor.said("infill/runCommand") == [{"command": "infill.showTrouble", "arguments": [told]}]
    assert not editor.said("window/showMessage")


async def test_nothing_is_told_before_the_editor_listens(new_editor: NewEditor) -> None:
    editor = new_editor()
    await editor.result("initialize", processId=None, rootUri=None, capabilities={})
    assert not editor.heard


async def test_a_slow_answer_shows_and_ends(new_editor: NewEditor) -> None:
    go = asyncio.Event()
    editor = new_editor(["do", go, "ne()"])
    await editor.start()
    editor.open("x = ")
    asking = asyncio.ensure_future(editor.ghosts(0, 4, kind=1))
    await editor.until(lambda: kinds(editor)[-1] == "generating")
    assert editor.said("infill/status")[-1]["busy"] is True
    go.set()
    assert await asking
    assert kinds(editor)[-1] == "ready"


async def test_a_request_that_never_ends_does_not_look_busy_for_ever(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "GRACE", 0.0)
    with editor.server.status.working(deadline_ms=80):
        await editor.until(lambda: kinds(editor)[-1] == "generating")
        await editor.until(lambda: kinds(editor)[-1] == "ready")
    assert kinds(editor)[-2:] == ["generating", "ready"]


async def test_loading_shows_a_bar_and_ends_it(new_editor: NewEditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "BAR_AFTER", 0.0)
    editor = new_editor()
    await editor.start(PROGRESS)
    change = editor.server.status.engine_changed
    change(Changed(state="loading", model="local:big", progress=0.1))
    await editor.until(lambda: editor.said("$/progress"))
    change(Changed(state="loading", model="local:big", progress=0.5))
    change(Changed(state="ready", model="local:big"))
    values = [one["value"] for one in editor.said("$/progress")]
    assert [value["kind"] for value in values] == ["begin", "report", "end"]
    assert values[1]["percentage"] == 50
    assert "local:big" in values[0]["title"]
    assert kinds(editor)[-3:] == ["loading", "loading", "ready"]


async def test_a_model_that_loads_for_ever_is_not_busy_for_ever(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "LOADING_SECONDS", 0.05)
    editor.server.status.engine_changed(Changed(state="loading", model="local:big"))
    assert kinds(editor)[-1] == "loading"
    await editor.until(lambda: kinds(editor)[-1] == "warning")
    assert "sign of life" in editor.said("infill/status")[-1]["message"]


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (ProviderUnavailable("Not there."), "warning", False),
        (ProviderRefused("The key is wrong.", "Set another."), "error", True),
        (EngineCrashed("The engine crashed."), "error", True),
        (ModelMissing("The model's file is gone."), "error", True),
    ],
)
async def test_trouble_is_an_empty_answer_a_status_and_at_most_one_message(new_editor: NewEditor, error: InfillError, kind: str, told: bool) -> None:
    editor = new_editor([error])
    await editor.start()
    editor.open("x = ")
    for _ in range(3):
        assert await editor.ghosts(0, 4, kind=1) == []
    assert kinds(editor)[-1] == kind
    assert editor.said("infill/status")[-1]["message"] == str(error)
    assert len(editor.said("window/showMessage")) == told
    editor.fake.script = ["fine()"]
    assert await editor.ghosts(0, 4, kind=1)
    assert kinds(editor)[-1] == "ready"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("infill.[Repair](command:workbench.action.terminal.new) is ignored", "infill.[Repair] (command:workbench.action.terminal.new) is ignored"),
        ("said [more](https://example.org)", "said [more] (https://example.org)"),
        ("[a\u200e](command:b)", "[a] (command:b)"),
        ("a\x1b]0;b\x07c\u202ed", "acd"),
        ("x" * 5_000, "x" * 1_000),
    ],
)
async def test_words_of_a_repository_or_a_server_are_shown_and_never_act(editor: Editor, words: str, shown: str) -> None:
    editor.server.messages.say(words)
    await editor.until(lambda: editor.said("window/showMessage"))
    assert [one["message"] for one in editor.said("window/showMessage")] == [f"infill: {shown}"]


async def test_an_engine_that_dies_while_nobody_asks_is_shown(editor: Editor) -> None:
    editor.server.status.engine_changed(Changed(state="problem", message="The engine was killed."))
    assert editor.said("infill/status")[-1]["message"] == "The engine was killed."


async def test_a_question_put_away_is_no_answer(editor: Editor) -> None:
    assert await editor.server.messages.ask("Download?", ["Yes", "No"]) == ""
    assert editor.asked[-1]["params"]["actions"] == [{"title": "Yes"}, {"title": "No"}]


# ---- commands


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("infill.nonsense", [], "There is no command 'infill.nonsense'"),
        ("infill.toggle", [{"enabled": "perhaps"}], "enabled"),
        ("infill.toggle", [{}, {}], "at most one argument"),
        ("infill.toggle", ["x"], "infill.toggle"),
        ("infill.didAccept", [], "infill.didAccept"),
        ("infill.loadModel", [5], "infill.loadModel"),
    ],
)
async def test_a_command_that_makes_no_sense_gets_an_error_with_a_sentence(editor: Editor, command: str, arguments: list[Any], words: str) -> None:
    error = await editor.error("workspace/executeCommand", command=command, arguments=arguments)
    assert error["code"] == -32602
    assert words in error["message"]


async def test_every_command_is_announced(new_editor: NewEditor) -> None:
    result = await new_editor().start()
    offered = set(result["capabilities"]["executeCommandProvider"]["commands"])
    assert {
        "infill.status",
        "infill.explain",
        "infill.toggle",
        "infill.loadModel",
        "infill.unloadModel",
        "infill.didAccept",
        "infill.stats",
    } <= offered


async def test_explain_tells_why_there_was_nothing(editor: Editor) -> None:
    editor.open("value = word")
    assert await editor.ghosts(0, 10) == []
    assert (await editor.command("infill.explain"))["reason"] == "in the middle of a word"


# ---- what became of suggestions


async def test_what_is_shown_and_accepted_is_counted(editor: Editor) -> None:
    editor.open("x = ")
    (item,) = await editor.ghosts(0, 4)
    editor.notify("textDocument/didShowCompletion", item=item)
    editor.notify("textDocument/didPartiallyAcceptCompletion", item=item, acceptedLength=4)
    assert await editor.command("infill.didAccept", item["command"]["arguments"][0]) is None
    stats = await editor.command("infill.stats")
    assert (stats["shown"], stats["partly"], stats["accepted"], stats["characters"]) == (1, 1, 1, 4 + len("done()"))
    assert stats["byModel"][0]["model"] == "fake"
    assert stats["latency"]["p50"] > 0
    assert (await editor.command("infill.stats", {"reset": True}))["shown"] == 0


async def test_how_fast_a_model_writes_is_known_although_its_first_line_was_shown_before_its_end(new_editor: NewEditor) -> None:
    rest = asyncio.Event()
    script: list[Step] = ["if True:\n", rest, "    go()\n"]
    editor = new_editor(script)
    await editor.start()
    model = editor.server.provision.model()
    script.append(Report(provider="fake", model=model, timings=Timings(tokens_generated=30, generate_ms=500.0)))
    editor.open("x = 1\n")
    assert await editor.ghosts(1, 0)
    rest.set()
    await editor.until(lambda: editor.server.statistics.waiting == 2)
    (row,) = (await editor.command("infill.stats"))["byModel"]
    assert (row["provider"], row["model"], row["tokensPerSecond"]) == ("fake", model, 60.0)


async def test_a_model_of_two_providers_is_counted_for_each(tmp_path: Path) -> None:
    statistics = Statistics(tmp_path / "statistics.sqlite3")
    for provider, ms in (("local", 40.0), ("local", 60.0), ("ollama:home", 90.0)):
        statistics.add(Event(kind="answered", provider=provider, model="coder", ms=ms))
        statistics.add(Event(kind="shown", provider=provider, model="coder"))
    statistics.add(Event(kind="generated", provider="ollama:home", model="coder", tokens=20, generate_ms=400.0))
    rows = [(row.provider, row.shown, row.p95, row.tokens_per_second) for row in statistics.summary().by_model]
    assert rows == [("local", 2, 60.0, 0.0), ("ollama:home", 1, 90.0, 50.0)]


async def test_a_suggestion_nobody_knows_is_accepted_without_ado(editor: Editor) -> None:
    assert await editor.command("infill.didAccept", "12345") is None
    assert (await editor.command("infill.stats"))["accepted"] == 0


async def test_statistics_hold_no_code(editor: Editor) -> None:
    editor.open("secret_name = ")
    (item,) = await editor.ghosts(0, 14)
    await editor.command("infill.didAccept", item["command"]["arguments"][0])
    await editor.command("infill.stats")
    rows = sqlite3.connect(paths.state_directory() / "statistics.sqlite3").execute("SELECT * FROM events").fetchall()
    assert rows
    assert not any("secret" in str(cell) or "done" in str(cell) for row in rows for cell in row)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be taken for one" * 40])
def test_a_damaged_file_of_statistics_costs_nothing_else(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "statistics.sqlite3"
    file.write_bytes(content)
    statistics = Statistics(file)
    statistics.add(Event(kind="shown"))
    statistics.flush()
    statistics.reset()
    assert statistics.summary().shown == 0


def test_statistics_that_cannot_be_written_do_not_pile_up(tmp_path: Path) -> None:
    statistics = Statistics(tmp_path)  # a directory is no file
    for _ in range(MOST_WAITING + 10):
        statistics.add(Event(kind="shown"))
    statistics.flush()
    assert statistics.waiting == MOST_WAITING
    assert statistics.summary().shown == 0


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.95) == 0
    assert percentile([1, 2, 3, 4], 0.5) == 3
