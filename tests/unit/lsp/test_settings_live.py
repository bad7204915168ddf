"""Settings come from the editor, the user's file and the workspace, change while the server runs, and are never a reason not to start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_editor import GHOST, Editor, NewEditor

from infill import paths
from infill.lsp.server import build

PULLING = GHOST | {"workspace": {"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}}}


def max_tokens(editor: Editor) -> int:
    return editor.server.completer.settings.completion.max_tokens


async def test_options_come_with_initialize(new_editor: NewEditor) -> None:
    editor = new_editor()
    await editor.start(options={"completion": {"maxTokens": 17}})
    assert max_tokens(editor) == 17


async def test_an_editor_that_can_be_asked_is_asked_and_tells_of_changes(new_editor: NewEditor) -> None:
    editor = new_editor()
    editor.settings = {"completion": {"maxTokens": 18}, "server": {"command": "x"}, "trace": {"server": "off"}}
    await editor.start(PULLING, options={"completion": {"maxTokens": 17}})
    assert max_tokens(editor) == 18
    wished = await editor.until(lambda: [one for one in editor.asked if one["method"] == "client/registerCapability"])
    assert wished[0]["params"]["registrations"][0]["registerOptions"] == {"section": "infill"}
    editor.settings = {"completion": {"maxTokens": 19}}
    editor.notify("workspace/didChangeConfiguration", settings=None)
    await editor.until(lambda: max_tokens(editor) == 19)
    assert not editor.said("window/showMessage")


@pytest.mark.parametrize("pushed", [{"infill": {"completion": {"maxTokens": 21}}}, {"completion": {"maxTokens": 21}}])
async def test_an_editor_that_cannot_be_asked_pushes(editor: Editor, pushed: Any) -> None:
    editor.notify("workspace/didChangeConfiguration", settings=pushed)
    await editor.command("infill.status")
    assert max_tokens(editor) == 21


async def test_wrong_values_are_named_in_one_message_and_their_defaults_used(new_editor: NewEditor) -> None:
    editor = new_editor()
    await editor.start(options={"completion": {"maxTokens": "many", "topP": 7, "seed": 5}, "nonsense": 1, "enabled": True})
    (message,) = editor.said("window/showMessage")
    assert all(name in message["message"] for name in ("infill.completion.maxTokens", "infill.completion.topP", "infill.nonsense"))
    assert max_tokens(editor) == 64
    assert editor.server.completer.settings.completion.seed == 5


@pytest.mark.parametrize("options", [[], "x", 5, {"completion": 5}, {"infill": []}])
async def test_options_of_any_shape_never_keep_the_server_from_starting(new_editor: NewEditor, options: Any) -> None:
    editor = new_editor()
    await editor.start(options=options)
    assert len(editor.said("window/showMessage")) == 1
    assert max_tokens(editor) == 64


async def test_the_same_trouble_is_told_once(editor: Editor) -> None:
    for _ in range(3):
        editor.notify("workspace/didChangeConfiguration", settings={"completion": {"maxTokens": -1}})
        editor.notify("workspace/didChangeConfiguration", settings={})
    await editor.command("infill.status")
    assert len(editor.said("window/showMessage")) == 1


async def test_the_user_s_own_file_counts_below_the_editor(new_editor: NewEditor) -> None:
    paths.config_directory().mkdir(parents=True)
    (paths.config_directory() / "settings.toml").write_text("[completion]\nmaxTokens = 30\nseed = 9\n")
    editor = new_editor()
    await editor.start(options={"completion": {"maxTokens": 31}})
    assert (max_tokens(editor), editor.server.completer.settings.completion.seed) == (31, 9)


@pytest.mark.parametrize("content", [b"maxTokens = = 3", b"\xff\xfe\x00"])
async def test_a_damaged_file_of_settings_is_said_and_survived(new_editor: NewEditor, content: bytes) -> None:
    paths.config_directory().mkdir(parents=True)
    (paths.config_directory() / "settings.toml").write_bytes(content)
    editor = new_editor()
    await editor.start()
    assert "settings.toml" in editor.said("window/showMessage")[0]["message"]


async def test_a_cloned_repository_can_set_nothing_dangerous(new_editor: NewEditor, tmp_path: Path) -> None:
    (tmp_path / ".infill.toml").write_text(
        "languages = { markdown = false }\n[completion]\nmaxTokens = 12\n[providers]\norder = ['openai:evil']\n[engine]\nthreads = 99\n"
    )
    editor = new_editor()
    await editor.start(root=tmp_path)
    settings = editor.server.completer.settings
    assert (settings.completion.max_tokens, settings.languages) == (12, {"markdown": False})
    assert (settings.providers.order, settings.engine.threads) == (["local"], None)
    told = editor.said("window/showMessage")[0]["message"]
    assert "providers" in told and "engine" in told and ".infill.toml" in told


async def test_a_trusted_workspace_is_believed(new_editor: NewEditor, tmp_path: Path) -> None:
    (tmp_path / ".infill.toml").write_text("[engine]\nthreads = 3\n")
    editor = new_editor()
    editor.server = build(trusted=True)
    editor.server.protocol.set_writer(editor)
    await editor.start(root=tmp_path)
    assert editor.server.completer.settings.engine.threads == 3


async def test_a_folder_that_is_added_brings_its_settings(editor: Editor, tmp_path: Path) -> None:
    (tmp_path / ".infill.toml").write_text("[completion]\nmaxTokens = 12\n")
    folder = {"uri": tmp_path.as_uri(), "name": "x"}
    editor.notify("workspace/didChangeWorkspaceFolders", event={"added": [folder], "removed": []})
    await editor.command("infill.status")
    assert max_tokens(editor) == 12
    editor.notify("workspace/didChangeWorkspaceFolders", event={"added": [], "removed": [folder]})
    await editor.command("infill.status")
    assert max_tokens(editor) == 64


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"enabled": False}, "switched off"), ({"languages": {"python": False}}, "switched off for python"), ({"exclude": ["*.py"]}, "infill.exclude")],
)
async def test_nothing_is_asked_where_it_is_switched_off(new_editor: NewEditor, options: Any, reason: str) -> None:
    editor = new_editor()
    await editor.start(options=options)
    editor.open("x = ")
    assert await editor.ghosts(0, 4, kind=1) == []
    assert not editor.fake.asked and not editor.fake.warmed
    assert reason in (await editor.command("infill.explain"))["reason"]


async def test_read_only_documents_are_left_alone(editor: Editor) -> None:
    editor.open("x = ", "git:/project/a.py?ref")
    assert await editor.ghosts(0, 4, "git:/project/a.py?ref", kind=1) == []
    assert "read-only" in (await editor.command("infill.explain"))["reason"]


async def test_toggling_switches_off_and_on_again(editor: Editor) -> None:
    editor.open("x = ")
    assert await editor.command("infill.toggle") == {"enabled": False}
    assert await editor.ghosts(0, 4, kind=1) == []
    assert editor.said("infill/status")[-1]["kind"] == "off"
    assert await editor.command("infill.toggle", {"enabled": True}) == {"enabled": True}
    assert await editor.command("infill.toggle", {"language": "python"}) == {"enabled": False}
    assert await editor.ghosts(0, 4, kind=1) == []
    assert await editor.command("infill.toggle", {"language": "python"}) == {"enabled": True}
    assert await editor.ghosts(0, 4, kind=1)
