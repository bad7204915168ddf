"""What stands in files whose names say that they hold secrets reaches no prompt as context, and no remote server at all: through the real server."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from api_peers import LlamaServer
from http_peer import Peer
from small_editor import Editor

NAMES = [
    *(".env", ".env.local", ".ENV", "prod.env", ".env~", "#.env#", ".#.env", ".env.bak", ".env.1", ".env copy", ".env copy 2", "..env.swp", ".env.."),
    *("id_rsa", "ID_RSA", "id_ed25519.pub", "id_rsa.old", "server.pem", "SERVER.PEM", "server.pem~", "tls.key", "tls.key.save", "store.p12"),
    *(
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".pgpass",
        "credentials",
        "credentials.orig",
        "passwords.txt",
        "passwords.txt.bak",
        "api_token.md",
        "kubeconfig",
    ),
    *("terraform.tfvars", "secrets.yaml", ".ssh/config", ".AWS/config", "secrets/db.py", ".git/config", ".bash_history", "vault.kdbx"),
    *(".e\u200cnv", "id_r\u017fa", "server.\u212aey"),
]
"""The last three are `.env`, `id_rsa` and `server.key` for file systems that fold case and leave out what is not shown."""
ALLOWED = ["helper.py", ".env.example", "environment.py", "id_card.py", "tokens.py", "keys.ts", "monkey.py"]
NO_FILES = [
    *(
        "git:/project/.env?%7B%22ref%22%3A%22HEAD%22%7D",
        "vscode-remote://ssh-remote/project/id_rsa",
        "untitled:/project/.env",
        "fugitive:///w/.git//0/.env",
    ),
    *("vscode-vfs://github/a/b/server.pem", "untitled:secrets.yaml", "GIT:/project/%2Eenv"),
]


ALIKE = "total_amount = customer_order\n"


def canary(number: int) -> str:
    return f"zebra_{number}_quagga"


class Session:
    """An editor in a folder with one remote provider, which answers every request and remembers it."""

    def __init__(self, editor: Editor, folder: Path, peer: Peer) -> None:
        self.editor, self.folder, self.peer = editor, folder, peer
        self._numbers = itertools.count(1)

    async def ask(self, uri: str) -> str:
        """Ask with a line that has not been asked before; what the provider was sent for it."""
        number, before = next(self._numbers), len(self.peer.requests)
        text = f"{ALIKE * 40}def value_{number}(a, b):\n    return "
        self.editor.tell("textDocument/didChange", {"textDocument": {"uri": uri, "version": number + 1}, "contentChanges": [{"text": text}]})
        place = {"textDocument": {"uri": uri}, "position": {"line": 41, "character": 11}, "context": {"triggerKind": 1}}
        await self.editor.ask("textDocument/inlineCompletion", place)
        return "".join(str(request.json) for request in self.peer.requests[before:])

    def open(self, uri: str, text: str) -> None:
        self.editor.tell("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": text}})

    def close(self, uri: str) -> None:
        self.editor.tell("textDocument/didClose", {"textDocument": {"uri": uri}})


@pytest.fixture
async def session(tmp_path: Path) -> Any:
    folder = tmp_path / "work"
    folder.mkdir()
    options = {
        "providers": {"order": ["llamacpp:lab"], "remote": {"lab": {"kind": "llamacpp", "url": "", "timeoutMs": 30_000}}},
        "latency": {"target": 5000},
    }
    async with Peer(LlamaServer()) as peer:
        options["providers"]["remote"]["lab"]["url"] = peer.url  # type: ignore[index]
        editor = Editor()
        await editor.start(folder, options)
        made = Session(editor, folder, peer)
        made.open((folder / "main.py").as_uri(), "")
        yield made
        await editor.leave()


async def leaks(session: Session, uri: str, number: int) -> tuple[bool, bool]:
    """Whether the text of a document that is open, and then closed, is sent as context, and whether it is sent when something is asked in it."""
    main = (session.folder / "main.py").as_uri()
    session.open(uri, "")
    own = await session.ask(uri)
    change = {"textDocument": {"uri": uri, "version": 999}, "contentChanges": [{"text": f"{canary(number)}(total_amount, customer_order)\n"}]}
    session.editor.tell("textDocument/didChange", change)
    beside = await session.ask(main)
    session.close(uri)
    after = await session.ask(main)
    assert "value_" in beside and "value_" in after, "the remote provider answers in the ordinary file"
    return canary(number) in beside + after, bool(own)


async def test_no_file_with_a_secret_name_is_context_or_leaves_the_machine(session: Session) -> None:
    told = {}
    for number, name in enumerate(NAMES):
        file = session.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        told[name] = await leaks(session, file.as_uri(), number)
    assert {name: found for name, found in told.items() if any(found)} == {}


async def test_files_with_ordinary_names_are_context(session: Session) -> None:
    told = {name: await leaks(session, (session.folder / name).as_uri(), number) for number, name in enumerate(ALLOWED)}
    assert {name: found for name, found in told.items() if found != (True, True)} == {}


@pytest.mark.skipif(os.name != "posix", reason="links need privileges on Windows")
async def test_links_hide_no_secret_name(session: Session) -> None:
    for number, (name, target) in enumerate(
        [("settings.py", ".env"), (".env.local", "ordinary.py"), ("shared.py", "keys/id_rsa"), ("conf/a.py", ".ssh/a")]
    ):
        file, real = session.folder / name, session.folder / target
        for each in (file, real):
            each.parent.mkdir(parents=True, exist_ok=True)
        real.write_text("x")
        file.symlink_to(real)
        assert await leaks(session, file.as_uri(), number) == (False, False), name


async def test_documents_that_are_no_files_are_judged_by_their_names(session: Session) -> None:
    told = {uri: await leaks(session, uri, number) for number, uri in enumerate(NO_FILES)}
    assert {uri: found for uri, found in told.items() if any(found)} == {}


async def test_cells_of_a_notebook_among_secrets_are_no_context(session: Session) -> None:
    notebook = (session.folder / "secrets" / "notes.ipynb").as_uri()
    cell = notebook.replace("file:", "vscode-notebook-cell:") + "#c1"
    opened = {
        "notebookDocument": {"uri": notebook, "notebookType": "jupyter-notebook", "version": 1, "cells": [{"kind": 2, "document": cell}]},
        "cellTextDocuments": [{"uri": cell, "languageId": "python", "version": 1, "text": f"{canary(0)}(total_amount, customer_order)\nx = "}],
    }
    session.editor.tell("notebookDocument/didOpen", opened)
    place = {"textDocument": {"uri": cell}, "position": {"line": 1, "character": 4}, "context": {"triggerKind": 1}}
    await session.editor.ask("textDocument/inlineCompletion", place)
    assert not [request for request in session.peer.requests if request.path == "/infill"]
    sent = await session.ask((session.folder / "main.py").as_uri())
    assert "value_" in sent and canary(0) not in sent
