"""What is known about files that nothing is asked in: it is renewed too."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lsprotocol import types

from infill.lsp.documents import Documents
from infill.lsp.rules import REMEMBERED_SECONDS, Rules
from infill.settings import Settings


async def test_a_file_that_is_ignored_from_now_on_is_no_context_any_more(tmp_path: Path) -> None:
    now = 0.0
    documents = Documents()
    documents.folders = [tmp_path]
    rules = Rules(documents, clock=lambda: now)
    rules.configure(Settings())
    document = documents.open(types.TextDocumentItem((tmp_path / "notes.py").as_uri(), "python", 1, "x"))
    assert (await rules.judge(document)).refused == ""
    (tmp_path / ".gitignore").write_text("notes.py\n")
    rules.renew(documents)
    assert not rules._looking, "a verdict stands for a while"
    now += REMEMBERED_SECONDS
    rules.renew(documents)
    rules.renew(documents)
    assert len(rules._looking) == 1
    await asyncio.wait(set(rules._looking.values()))
    await asyncio.sleep(0)
    assert rules.known(document).refused == ".gitignore names it"
