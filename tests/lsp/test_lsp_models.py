"""Models from the editor: listed, downloaded from a hub on loopback, switched during typing, removed; and the question at the first start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import parrot
import psutil
import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from real_editor import ADD, PATIENCE, Editor, NewEditor, until

from infill import paths, state
from infill.lsp import first_run

HUB = Path(__file__).parents[1] / "models" / "hub.py"
PROGRESS: dict[str, Any] = {"window": types.WindowClientCapabilities(work_done_progress=True)}
ASKING: dict[str, Any] = {
    "window": types.WindowClientCapabilities(
        show_message=types.ShowMessageRequestClientCapabilities(message_action_item=types.ClientShowMessageActionItemOptions())
    )
}


@contextlib.contextmanager
def hub(home: Path, monkeypatch: pytest.MonkeyPatch, *options: str, licence: str = 'licence = "MIT"') -> Iterator[None]:
    """Runs a hub that has the bundled model under another name, with a catalogue that lists it."""
    with subprocess.Popen(
        [sys.executable, str(HUB), f"maker/other:other.gguf={paths.bundled_model()}", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        monkeypatch.setenv("HF_ENDPOINT", process.stdout.readline().split()[-1])
        monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
        monkeypatch.setenv("HOME", str(home / "user"))
        for name in ("HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "OLLAMA_MODELS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NO_PROXY", "*")
        paths.config_directory().mkdir(parents=True, exist_ok=True)
        entry = f'[[model]]\nid = "other"\ntitle = "Other"\nsource = "maker/other:other.gguf"\nfim_order = "spm"\n{licence}\n'
        (paths.config_directory() / "models.toml").write_text(entry)
        try:
            yield
        finally:
            process.kill()


def bars(editor: Editor) -> list[Any]:
    """All values reported by progress bars."""
    return [value for values in editor.client.progress_reports.values() for value in values]


def exists(answer: dict[str, str]) -> bool:
    return Path(answer["path"]).exists()


async def other(editor: Editor) -> dict[str, Any]:
    models = (await editor.command("infill.models"))["models"]
    found: dict[str, Any] = next(model for model in models if model["id"] == "local:other")
    return found


async def test_a_model_is_downloaded_switched_to_verified_and_removed(new_editor: NewEditor, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(home, monkeypatch):
        editor = await new_editor(**PROGRESS)
        editor.open(ADD)
        assert await editor.ghosts(4, 11, invoked=True)
        before = await other(editor)
        assert (before["state"], before["installed"], before["active"]) == ("available", False, False)
        got = await editor.command("infill.downloadModel", {"model": "local:other"})
        assert exists(got)
        assert any(isinstance(value, types.WorkDoneProgressBegin) and value.cancellable for value in bars(editor))
        switched = await editor.command("infill.switchModel", {"model": "local:other"})
        assert switched["model"] == "local:other"
        editor.open("def sub(a, b):\n    return ", "file:///project/b.py")
        assert await editor.ghosts(1, 11, "file:///project/b.py", invoked=True)
        assert (await editor.command("infill.explain"))["model"] == "local:other"
        assert editor.statuses[-1].model == "local:other"
        after = await other(editor)
        assert (after["state"], after["installed"], after["active"], after["fit"]) == ("loaded", True, True, "fits")
        await until_loaded(editor, ["local:other"])
        assert (await editor.command("infill.verifyModel", {"model": "local:other"}))["ok"] is True
        with pytest.raises(JsonRpcException, match="chosen"):
            await editor.command("infill.removeModel", {"model": "local:other"})
        await editor.command("infill.switchModel", {"model": "local:bundled"})
        assert (await editor.command("infill.removeModel", {"model": "local:other"}))["freed"] > 1_000_000
        assert not exists(got)


async def until_loaded(editor: Editor, models: list[str]) -> None:
    for _ in range(400):
        if [model["model"] for model in (await editor.engine())["models"]] == models:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(await editor.engine())


async def test_a_download_is_cancelled_by_its_bar_and_continued_later(new_editor: NewEditor, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(home, monkeypatch, "--slow", "3000000"):
        editor = await new_editor(**PROGRESS)
        announced: list[Any] = []

        @editor.client.feature("infill/modelsChanged")
        def note(params: Any) -> None:
            announced.append(params)

        asked = asyncio.ensure_future(editor.command("infill.downloadModel", {"model": "local:other"}))
        await until(lambda: announced)
        await until(lambda: [value for value in bars(editor) if isinstance(value, types.WorkDoneProgressReport) and (value.percentage or 0) > 5])
        (token,) = editor.client.progress_reports
        editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token=token))
        with pytest.raises(JsonRpcException, match="cancelled"):
            await asked
        assert isinstance(bars(editor)[-1], types.WorkDoneProgressEnd)
        assert len(announced) == 2, "an open list of models would still show the download"
        assert (await other(editor))["state"] == "available"
        continued = await editor.command("infill.downloadModel", {"model": "local:other"})
        assert exists(continued)


def _transfers(child: psutil.Process) -> bool:
    """Whether a child process is downloading; one that has just exited has no command line."""
    try:
        return "transfer" in " ".join(child.cmdline())
    except psutil.NoSuchProcess:
        return False


async def test_a_cancelled_command_stops_its_download_and_leaving_stops_it_too(
    new_editor: NewEditor, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(home, monkeypatch, "--slow", "200000"):
        editor = await new_editor(**PROGRESS)
        params = types.ExecuteCommandParams(command="infill.downloadModel", arguments=[{"model": "local:other"}])
        future = asyncio.ensure_future(editor.client.protocol.send_request_async("workspace/executeCommand", params, msg_id="download"))
        await until(lambda: editor.server.children(recursive=True))
        editor.client.cancel_request(types.CancelParams(id="download"))
        with pytest.raises(JsonRpcException, match="Cancelled"):
            await asyncio.wait_for(future, PATIENCE)
        await until(lambda: not any(map(_transfers, editor.server.children())))
        again = asyncio.ensure_future(editor.command("infill.downloadModel", {"model": "local:other"}))
        await until(lambda: editor.server.children(recursive=True))
        child = editor.server.children(recursive=True)[0]
        await editor.client.shutdown_session()
        again.cancel()
        await until(lambda: not _transfers(child))


async def test_a_download_that_cannot_be_is_a_sentence(new_editor: NewEditor, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = await new_editor(options={"privacy": {"offline": True}})
    with pytest.raises(JsonRpcException, match="Downloads are switched off"):
        await editor.command("infill.downloadModel", {"model": "local:qwen2.5-coder-0.5b-q8_0"})
    with pytest.raises(JsonRpcException, match="nonsense"):
        await editor.command("infill.downloadModel", {"model": "local:nonsense"})


async def test_a_licence_that_forbids_commerce_is_agreed_to_first(new_editor: NewEditor, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    licence = 'licence = "research"\nlicence_url = "https://example.invalid/licence"\ncommercial = false'
    with hub(home, monkeypatch, licence=licence):
        editor = await new_editor(**ASKING)
        editor.answer = "No"
        with pytest.raises(JsonRpcException, match="may not be used commercially"):
            await editor.command("infill.downloadModel", {"model": "local:other"})
        assert "research" in editor.questions[0].message
        editor.answer = "Download"
        assert await editor.command("infill.downloadModel", {"model": "local:other"})


async def test_a_switch_that_fails_leaves_the_old_model_answering(editor: Editor) -> None:
    editor.open(ADD)
    assert await editor.ghosts(4, 11, invoked=True)
    with pytest.raises(JsonRpcException, match="nowhere"):
        await editor.command("infill.switchModel", {"model": "local:nowhere"})
    with pytest.raises(JsonRpcException, match="names no provider"):
        await editor.command("infill.switchModel", {"model": "openai:nobody/x"})
    with pytest.raises(JsonRpcException, match="No folder is open"):
        await editor.command("infill.switchModel", {"model": "local:bundled", "scope": "workspace"})
    assert state.load() == state.State()
    assert await editor.ghosts(4, 11, invoked=True)
    assert (await editor.command("infill.explain"))["model"] == "local:bundled"


async def test_choosing_loads_nothing_while_nothing_is_loaded(new_editor: NewEditor, tmp_path: Path) -> None:
    folders = [types.WorkspaceFolder(uri=tmp_path.as_uri(), name="project")]
    editor = await new_editor(folders=folders)
    await editor.command("infill.switchModel", {"model": "bundled", "scope": "workspace"})
    assert await editor.engine() is None
    assert state.load().workspaces == {str(tmp_path): {"complete": "local:bundled"}}
    assert (await editor.command("infill.models"))["scope"] == "workspace"


async def test_the_machine_is_described(editor: Editor) -> None:
    machine = await editor.command("infill.hardware")
    assert machine["memory"]["total"] > machine["memory"]["free"] > 0
    assert str(machine["cpu"]["physical"]) in machine["summary"]


async def test_switching_back_and_forth_under_typing_loses_no_request_and_no_memory(
    new_editor: NewEditor, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(home, monkeypatch):
        editor = await new_editor()
        await editor.command("infill.downloadModel", {"model": "local:other"})
        editor.open("x = [\n")

        async def typing() -> int:
            answered = 0
            for number in range(40):
                text = f"value_{number} = "
                editor.type(text, 1 + number, 0)
                answered += len(await editor.ghosts(1 + number, len(text), invoked=True))
                editor.type("1\n", 1 + number, len(text))
            return answered

        task = asyncio.ensure_future(typing())
        memory = []
        for round_ in range(8):
            model = ("local:other", "local:bundled")[round_ % 2]
            assert (await editor.command("infill.switchModel", {"model": model}))["model"] == model
            await until_loaded(editor, [model])
            memory.append((await editor.engine())["residentBytes"])
        assert await task > 0
        assert memory[-1] < 1.2 * memory[1]
        assert not editor.client.messages


FEW_CHOICES = {"engine": {"threads": 1, "batchSize": 256, "kvType": "f16"}}
"""Values that the user has set are not tried, so measuring takes only seconds."""


async def test_a_model_is_measured_with_a_bar_that_stops_it_and_what_was_kept_is_used_until_it_is_forgotten(new_editor: NewEditor) -> None:
    # results measured while other programs run are not kept, so the test reports none
    program = "from infill.models import child\nchild.is_disturbed = lambda received: False\nfrom infill.lsp.server import build\nbuild().start_io()"
    editor = await new_editor(command=[sys.executable, "-c", program], options=FEW_CHOICES, **PROGRESS)
    asked = asyncio.ensure_future(editor.command("infill.tune"))
    await until(lambda: any(isinstance(value, types.WorkDoneProgressReport) for value in bars(editor)))
    (token,) = editor.client.progress_reports
    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token=token))
    with pytest.raises(JsonRpcException, match="measuring was cancelled"):
        await asked
    assert isinstance(bars(editor)[-1], types.WorkDoneProgressEnd)
    assert (await editor.command("infill.tune", {"reset": True}))["message"] == "local:bundled was not measured."
    measured = await editor.command("infill.tune", {"model": "local:bundled"})
    assert [row["best"] for row in measured["table"]].count(True) == 1
    assert measured["table"][0]["alone"]["generate_per_second"] > 1
    assert "tokens/s" in measured["message"]
    assert [value.title for value in bars(editor) if isinstance(value, types.WorkDoneProgressBegin)] == 2 * ["infill: measuring local:bundled"]
    offered = (await editor.command("infill.models"))["models"]
    (bundled,) = [model for model in offered if model["id"] == "local:bundled"]
    assert bundled["tokensPerSecond"] == pytest.approx(next(row["alone"]["generate_per_second"] for row in measured["table"] if row["best"]))
    assert (await editor.command("infill.tune", {"reset": True}))["message"] == "What was measured of local:bundled is forgotten."


async def test_what_is_put_into_a_watched_folder_is_offered_once_it_is_whole_and_no_longer_when_it_is_gone(
    new_editor: NewEditor, home: Path, tmp_path: Path
) -> None:
    hurry = "from infill.models import importing\nfrom infill.lsp import folders\nfolders.EVERY_SECONDS, importing.WRITTEN_SECONDS = 0.05, 0.3\n"
    program = f"{hurry}from infill.lsp.server import build\nbuild().start_io()"
    folder = tmp_path / "models"
    folder.mkdir()
    editor = await new_editor(command=[sys.executable, "-c", program], options={"models": {"folders": [str(folder)]}})
    told: list[Any] = []

    @editor.client.feature("infill/modelsChanged")
    def on_changed(params: Any) -> None:
        told.append(params)

    async def offered() -> tuple[list[str], list[str]]:
        listing = await editor.command("infill.models")
        return [model["id"] for model in listing["models"] if model["id"] == "local:mine"], listing["problems"]

    content = paths.bundled_model().read_bytes()
    file = folder / "mine.gguf"
    file.write_bytes(content[:-1000])
    while not (found := await offered())[1]:
        assert found == ([], [])
    with file.open("ab") as stream:
        stream.write(content[-1000:])
    await until(lambda: told)
    assert (told[0].added, told[0].removed) == (["local:mine"], [])
    assert await offered() == (["local:mine"], [])
    await editor.command("infill.switchModel", {"model": "local:mine"})
    editor.open(ADD)
    assert await editor.ghosts(4, 11, invoked=True)
    assert (await editor.command("infill.explain"))["model"] == "local:mine"
    file.unlink()
    await until(lambda: len(told) > 1)
    assert (told[1].added, told[1].removed) == ([], ["local:mine"])


async def test_a_model_in_several_files_is_one_model_and_answers(new_editor: NewEditor, home: Path) -> None:
    folder = home / "models"
    folder.mkdir()
    parrot.write(folder / "split.gguf", "wychk", tensors_a_file=6)
    parts = sorted(folder.iterdir())
    assert [part.name for part in parts] == [f"split-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for part in parts:
        os.utime(part, (1_700_000_000, 1_700_000_000))  # old files: not written a moment ago
    editor = await new_editor(options={"models": {"folders": [str(folder)]}, "completion": {"multiline": False}})
    offered = [model for model in (await editor.command("infill.models"))["models"] if model["id"].startswith("local:split")]
    assert [model["size"] for model in offered] == [sum(part.stat().st_size for part in parts)]
    await editor.command("infill.switchModel", {"model": offered[0]["id"]})
    editor.open(ADD)
    (ghost, *_) = await editor.ghosts(4, 11, invoked=True)
    assert ghost.insert_text == "wychk"


async def test_choosing_in_the_first_question_opens_the_picker_of_the_editor(new_editor: NewEditor) -> None:
    program = "from infill.lsp import first_run\nfirst_run.QUIET_SECONDS = 0.0\nfrom infill.lsp.server import build\nbuild().start_io()"
    able = {"experimental": {"commands": {"commands": ["infill.chooseModel"]}}}
    editor = await new_editor(command=[sys.executable, "-c", program], **ASKING, **able)
    asked: list[Any] = []

    @editor.client.feature("infill/runCommand")
    def note(params: Any) -> None:
        asked.append(params)

    editor.answer = "Choose"
    editor.open(ADD)
    assert await editor.ghosts(4, 11, invoked=True)
    await until(lambda: asked, 90)
    assert asked[0].command == "infill.chooseModel"


async def test_the_first_run_asks_one_calm_question_once(new_editor: NewEditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_run, "QUIET_SECONDS", 0.0)
    program = "from infill.lsp import first_run\nfirst_run.QUIET_SECONDS = 0.0\nfrom infill.lsp.server import build\nbuild().start_io()"
    for expected in (1, 0):
        editor = await new_editor(command=[sys.executable, "-c", program], **ASKING)
        editor.answer = "Not now"
        editor.open(ADD)
        assert await editor.ghosts(4, 11, invoked=True)
        if expected:
            await until(lambda editor=editor: editor.questions, 90)
        else:
            assert await editor.command("infill.status")
        assert len(editor.questions) == expected
        for question in editor.questions:
            assert [action.title for action in question.actions or []] == ["Download", "Not now"]
            assert "tokens/s" in question.message
        await until(lambda: state.load().asked_first_run)
