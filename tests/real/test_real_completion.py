"""A chat model of 135 million parameters without fill-in-the-middle tokens completes code: chosen, listed and asked as a user types it."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_lsp import make_test_lsp_client

from infill import continuation
from infill.ask import Delta, Finish, Prompt, Report, Snippet, Stop
from infill.providers.local import LocalProvider
from infill.settings import Settings
from lsp.real_editor import SERVER, Editor

LONGEST = 240
PYTHON = '''"""Geometry."""

import math


def add(a, b):
    return a + b


def subtract(a, b):
    return a - b


def multiply(a, b):
    return {}


def divide(a, b):
    return a / b
'''
JAVASCRIPT = """function first(items) {
  return items[0];
}

function last(items) {
  return items[items.length - 1];
}

function sum(items) {
  let total = 0;
  for (const item of items) {
{}
  }
  return total;
}
"""


@pytest.fixture(scope="module")
def home(smol_file: Path) -> Iterator[Path]:
    """A home in which it was imported and chosen for completions by the commands of docs/models.md."""
    folder = Path(tempfile.mkdtemp(prefix="inf-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INFILL_HOME", str(folder))
        infill(folder, "models", "import", str(smol_file), "--id", "smollm2")
        chosen = infill(folder, "models", "use", "smollm2", "--role", "complete")
        assert "local:smollm2 is chosen for completions." in chosen.stdout
        assert continuation.REMARK in chosen.stderr
        yield folder
        infill(folder, "engine", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def infill(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infill", *words]
    environment = {**os.environ, "INFILL_HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, stdin=subprocess.DEVNULL, timeout=LONGEST)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def completed(home: Path, name: str, text: str) -> tuple[str, dict[str, Any]]:
    """The document of `text` with the first suggestion at `{}`, and all that is known of it."""
    before, _, after = text.partition("{}")
    (home / name).write_text(before + after)
    lines = before.split("\n")
    facts = json.loads(infill(home, "complete", f"{name}:{len(lines)}:{len(lines[-1]) + 1}", "--json").stdout)
    assert facts["items"], facts["reason"]
    taken = facts["items"][0]["range"]["end"]["column"] - facts["items"][0]["range"]["start"]["column"]
    return before + facts["items"][0]["text"] + after[taken:], facts


def test_lists_mark_it_as_one_that_continues_only(home: Path) -> None:
    assert "completions (continues only), generating code" in infill(home, "models", "list").stdout
    assert "completions (continues only), generating code" in infill(home, "models", "show", "smollm2").stdout
    assert json.loads(infill(home, "models", "show", "smollm2", "--json").stdout)["model"]["continues_only"]
    infill(home, "engine", "start")
    assert "continues only" in infill(home, "providers", "test", "local").stdout


def test_it_completes_python_and_keeps_what_follows(home: Path) -> None:
    text, facts = completed(home, "geometry.py", PYTHON)
    assert text == PYTHON.format("a * b")
    assert (facts["model"], facts["provider"]) == ("local:smollm2", "local")
    assert continuation.NOTE in facts["notes"]
    ast.parse(text)


def test_it_completes_a_javascript_block_and_ends_before_the_line_below(home: Path) -> None:
    text, _ = completed(home, "list.js", JAVASCRIPT)
    assert "    total += item;\n" in text
    assert text.count("return total;") == 1
    if node := shutil.which("node"):
        assert subprocess.run([node, "--check", str(home / "list.js")], capture_output=True, timeout=60).returncode == 0


def test_what_stands_after_the_cursor_in_its_line_is_not_written_again(home: Path) -> None:
    text, _ = completed(home, "call.py", "import math\n\n\ndef area(radius):\n    return math.pi * ({}) * radius\n")
    assert text.count("\n") == 5
    ast.parse(text)


def question(prefix: str, **changes: Any) -> Prompt:
    suffix = PYTHON.partition("{}")[2]
    return Prompt(**{"slot": "doc", "prefix": prefix, "suffix": suffix, "path": "geometry.py", "stop": Stop(max_tokens=4), **changes})


async def ask(provider: LocalProvider, prompt: Prompt) -> tuple[str, Finish, Report]:
    events = [event async for event in provider.complete(prompt)]
    report = events[-1]
    assert isinstance(report, Report)
    finish = next(event for event in events if isinstance(event, Finish))
    return "".join(event.text for event in events if isinstance(event, Delta)), finish, report


@contextlib.asynccontextmanager
async def asking(model: str) -> AsyncIterator[LocalProvider]:
    provider = LocalProvider(Settings(), lambda: model)
    try:
        await provider.load()
        yield provider
    finally:
        await provider.aclose()


@pytest.mark.parametrize("model", ["local:bundled", "local:smollm2"])
async def test_warming_typing_and_asking_again_compute_no_more_than_with_the_bundled_model(home: Path, model: str) -> None:
    prefix = PYTHON.replace("{}", "a * b") * 2 + PYTHON.partition("{}")[0]
    async with asking(model) as provider:
        await provider.warm(question(prefix))
        _, _, warmed = await ask(provider, question(prefix))
        assert warmed.timings.tokens_evaluated == 0
        assert warmed.timings.tokens_kept > 50
        _, _, typed = await ask(provider, question(f"{prefix}a"))
        assert typed.timings.tokens_evaluated <= 8
        assert typed.timings.tokens_kept >= warmed.timings.tokens_kept - 8
        _, _, other = await ask(provider, question(f"{prefix}a *", slot="other"))
        assert other.timings.tokens_kept > warmed.timings.tokens_kept // 2, "another window takes over what is known"


async def test_a_changed_suffix_costs_nothing_and_the_line_below_ends_the_answer(home: Path) -> None:
    prefix = PYTHON.partition("{}")[0].replace("def multiply(a, b):\n    return ", "")
    async with asking("local:smollm2") as provider:
        free, _, _ = await ask(provider, question(prefix, suffix="", stop=Stop(max_tokens=48)))
        below = next(line for line in free.split("\n")[1:] if line.startswith("def "))
        text, finish, report = await ask(provider, question(prefix, suffix=f"\n\n\n{below}\n    pass\n", stop=Stop(max_tokens=48)))
        assert report.timings.tokens_evaluated == 0
        assert (finish.why, free.startswith(text)) == ("end", True)
        assert below not in text


async def test_a_half_typed_word_and_other_files_are_used(home: Path) -> None:
    prefix = "def parse(text):\n    ret"
    async with asking("local:smollm2") as provider:
        text, _, _ = await ask(provider, question(prefix, suffix="\n"))
        assert text.startswith("urn")
        _, _, alone = await ask(provider, question(prefix, slot="alone", suffix="\n"))
        snippets = (Snippet("names.py", "def frobnicate(size):\n    return size * 4711\n"),)
        _, _, report = await ask(provider, question(prefix, slot="snippets", suffix="\n", snippets=snippets))
        assert report.timings.tokens_evaluated > alone.timings.tokens_kept + 15
        assert not [note for note in report.notes if "left out" in note]


async def test_an_editor_gets_its_ghost_text_and_the_note_of_how_it_came_about(home: Path) -> None:
    client = make_test_lsp_client()
    await client.start_io(*SERVER, env={**os.environ, "INFILL_HOME": str(home)})
    try:
        editor = Editor(client, home)
        await editor.start()
        before, _, after = PYTHON.partition("{}")
        editor.open(before + after)
        line, character = before.count("\n"), len("    return ")
        ghosts = await editor.ghosts(line, character, invoked=True)
        assert any(ghost.insert_text.startswith("a * b") for ghost in ghosts if isinstance(ghost.insert_text, str))
        told = await editor.explained()
        assert told["model"] == "local:smollm2"
        assert continuation.NOTE in told["answer"]["notes"]
        models = (await editor.command("infill.models"))["models"]
        assert {model["id"]: model["continuesOnly"] for model in models if model["active"]} == {"local:smollm2": True}
        switched = await editor.command("infill.switchModel", {"model": "local:smollm2"})
        assert continuation.REMARK in switched["message"]
    finally:
        await asyncio.wait_for(client.shutdown_session(), 10)
        await client.stop()
