"""Code from an instruction, written by a remote server, through the real language server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asking import KEY
from small_editor import Editor


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "work" / "add.py"
    file.parent.mkdir()
    file.write_text("def add(a, b):\n")
    return file


def _argument(file: Path, **more: Any) -> dict[str, Any]:
    return {"uri": file.as_uri(), "position": {"line": 0, "character": 14}} | more


async def test_llama_cpp_pythons_own_server_writes_from_an_instruction(llama_cpp_python: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    lab = {"kind": "openai", "url": llama_cpp_python, "model": "tiny", "family": "infill", "keyVariable": "LAB_KEY", "timeoutMs": 60_000}
    options = {
        "models": {"generate": "openai:lab/tiny"},
        "generate": {"maxTokens": 40},
        "providers": {"order": ["openai:lab", "local"], "remote": {"lab": lab}},
    }
    editor = Editor()
    await editor.start(file.parent, options)
    editor.open(file)
    result = await editor.command("infill.generate", _argument(file, instruction="add the numbers"))
    await editor.leave()
    streamed = [message["params"] for message in editor.told if message["method"] == "infill/generation"]
    assert streamed[-1]["done"]
    assert streamed[-1]["text"] == result["text"]
    assert KEY not in str(editor.told)
    # an instruct model was asked: nothing says that it follows no instructions
    assert not any("follows no instructions" in note for note in result["notes"])
