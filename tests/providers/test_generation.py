"""Code from an instruction, written by a remote server, through the real language server and pytest-lsp's client."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from asking import KEY
from lsprotocol import types
from pytest_lsp import make_test_lsp_client

PATIENCE = 60.0


async def test_llama_cpp_pythons_own_server_writes_from_an_instruction(
    llama_cpp_python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    lab = {"kind": "openai", "url": llama_cpp_python, "model": "tiny", "family": "infill", "keyVariable": "LAB_KEY", "timeoutMs": 60_000}
    options = {
        "models": {"generate": "openai:lab/tiny"},
        "generate": {"maxTokens": 40},
        "providers": {"order": ["openai:lab", "local"], "remote": {"lab": lab}},
    }
    streamed: list[Any] = []
    client, uri = make_test_lsp_client(), (tmp_path / "add.py").as_uri()

    @client.feature("infill/generation")
    def on_generation(params: Any) -> None:
        streamed.append(params)

    await client.start_io(sys.executable, "-m", "infill", "lsp", env=dict(os.environ))
    await client.initialize_session(types.InitializeParams(capabilities=types.ClientCapabilities(), initialization_options=options))
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 1, "def add(a, b):\n")))
    argument = {"uri": uri, "position": {"line": 0, "character": 14}, "instruction": "add the numbers"}
    asked = client.workspace_execute_command_async(types.ExecuteCommandParams("infill.generate", [argument]))
    result: Any = await asyncio.wait_for(asked, PATIENCE)
    await client.shutdown_session()
    await client.stop()
    assert streamed[-1].done
    assert streamed[-1].text == result["text"]
    assert KEY not in str([streamed, client.log_messages, client.messages])
    # an instruct model was asked: nothing says that it follows no instructions
    assert not any("does not follow instructions" in note for note in result["notes"])
