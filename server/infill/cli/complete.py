"""`infill complete FILE:LINE:COLUMN`: the same answer as in an editor, for a file on disk. For scripts, and for trying a model."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import typer

from infill import settings_file
from infill.cli import output
from infill.completion.types import CompletionRequest, Outcome, Suggestion
from infill.errors import RequestError
from infill.privacy.files import Guard
from infill.settings import Settings

app = typer.Typer()

LANGUAGES = {
    ".c": "c", ".cc": "cpp", ".cpp": "cpp", ".cs": "csharp", ".css": "css", ".go": "go", ".h": "c", ".hpp": "cpp", ".html": "html",
    ".java": "java", ".js": "javascript", ".json": "json", ".jsx": "javascriptreact", ".kt": "kotlin", ".lua": "lua", ".md": "markdown",
    ".php": "php", ".py": "python", ".pyi": "python", ".rb": "ruby", ".rs": "rust", ".sh": "shellscript", ".sql": "sql", ".swift": "swift",
    ".toml": "toml", ".ts": "typescript", ".tsx": "typescriptreact", ".yaml": "yaml", ".yml": "yaml", ".zig": "zig",
}  # fmt: skip
"""LSP language identifiers by file ending; others are named by their ending."""
PREFIX_CHARACTERS, SUFFIX_CHARACTERS = 200_000, 100_000
"""More than any model's window: what lies farther from the cursor is not even handed on."""
SHOWN_LINES = 3
"""Lines of context above a suggestion on a terminal."""


class Place(msgspec.Struct, frozen=True):
    """A cursor in a file on disk: 1-based, a column counts characters; clamped into the text."""

    file: Path
    line: int
    column: int


@app.command(help="Print what belongs at a cursor, such as `infill complete src/app.py:12:5`.")
def complete(
    place: str = typer.Argument(..., metavar="FILE:LINE:COLUMN", help="The cursor; lines and columns count from 1, as editors show them."),
    as_json: bool = typer.Option(False, "--json", help="Print everything that is known about the answer."),
    n: int = typer.Option(1, "--n", min=1, max=3, help="How many different suggestions."),
) -> None:
    settings, problems = settings_file.load()
    for sentence in problems:
        output.note(sentence)
    cursor = _parse(place)
    request = _request(cursor, settings)
    settings = msgspec.structs.replace(settings, completion=msgspec.structs.replace(settings.completion, candidates=n))
    outcome = asyncio.run(_ask(request, settings))
    if as_json:
        output.json(_facts(outcome, request))
    else:
        _show(outcome, request)


def _parse(place: str) -> Place:
    found = re.fullmatch(r"(.+):(\d+):(\d+)", place, re.DOTALL)
    if not found:
        raise typer.BadParameter(f"{place!r} is not FILE:LINE:COLUMN.", param_hint="FILE:LINE:COLUMN")
    return Place(Path(found[1]), max(1, int(found[2])), max(1, int(found[3])))


def _read(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise RequestError(f"{file} cannot be read: {exc.strerror}.", "Name a file as FILE:LINE:COLUMN.") from exc
    return content.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _request(cursor: Place, settings: Settings) -> CompletionRequest:
    lines = _read(cursor.file).split("\n")
    row = min(cursor.line, len(lines)) - 1
    column = min(cursor.column - 1, len(lines[row])) if cursor.line <= len(lines) else len(lines[row])
    path = cursor.file.absolute()
    refused = Guard([], settings.privacy).refusal(path)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)
    return CompletionRequest(
        uri=path.as_uri(),
        path=shown.as_posix(),
        language=LANGUAGES.get(path.suffix.lower(), path.suffix.lower().lstrip(".")),
        prefix="\n".join([*lines[:row], lines[row][:column]])[-PREFIX_CHARACTERS:],
        suffix="\n".join([lines[row][column:], *lines[row + 1 :]])[:SUFFIX_CHARACTERS],
        automatic=False,
        # the rules of docs/privacy.md hold here too: such a file is for the local model alone
        remote_allowed=not refused,
    )


async def _ask(request: CompletionRequest, settings: Settings) -> Outcome:
    from infill.completion.pipeline import Completer
    from infill.providers import setup
    from infill.providers.local import LocalProvider
    from infill.state import chosen_model

    model = settings.models.complete or chosen_model("complete", str(Path.cwd()))
    local = LocalProvider(settings, model=lambda: setup.local_model(model), client="infill complete")
    chain = setup.chain(settings, local, model=model, tell=lambda error: output.note(str(error)))
    completer = Completer(chain, settings)
    try:
        return await completer.complete(request)
    finally:
        await completer.aclose()
        await chain.aclose()


def _facts(outcome: Outcome, request: CompletionRequest) -> dict[str, Any]:
    return {
        "items": [{"text": one.text, "range": _range(one, request), "logprob": one.mean_logprob} for one in outcome.suggestions],
        "model": outcome.model,
        "provider": outcome.provider,
        "source": outcome.source,
        "timings": outcome.timings,
        "reason": outcome.reason,
    }


def _range(suggestion: Suggestion, request: CompletionRequest) -> dict[str, dict[str, int]]:
    """What the text takes the place of, 1-based: from the cursor to behind what it repeats."""
    line, column = request.prefix.count("\n") + 1, len(request.line_before) + 1
    taken = request.suffix[: suggestion.replaces]
    end = column + len(taken) if "\n" not in taken else len(taken) - taken.rfind("\n")
    return {"start": {"line": line, "column": column}, "end": {"line": line + taken.count("\n"), "column": end}}


def _show(outcome: Outcome, request: CompletionRequest) -> None:
    if not outcome.suggestions:
        output.note(f"Nothing to suggest: {outcome.reason}.")
    for number, suggestion in enumerate(outcome.suggestions, 1):
        if len(outcome.suggestions) > 1:
            output.note(f"{number}:")
        if output.on_terminal():
            above = "\n".join(request.prefix.split("\n")[-1 - SHOWN_LINES :])
            output.suggestion(above, suggestion.text, request.suffix[suggestion.replaces :].partition("\n")[0])
        else:
            output.say(suggestion.text)
    if outcome.suggestions and output.on_terminal():
        output.note(f"{outcome.model} in {outcome.timings.total_ms:.0f} ms")
