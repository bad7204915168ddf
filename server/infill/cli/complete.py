"""`infill complete FILE:LINE:COLUMN`: the completion at a position of a file on disk, as in an editor. For scripts and for trying a model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import typer

from infill import settings_file
from infill.cli import cursor, output
from infill.completion.types import CompletionRequest, Outcome, Suggestion
from infill.privacy.files import Guard
from infill.settings import Settings

app = typer.Typer()

PREFIX_CHARACTERS, SUFFIX_CHARACTERS = 200_000, 100_000
"""Maximum number of characters before and after the cursor: more than any model's window."""
DEADLINE_MS = 60_000
"""Minimum deadline: the command may have to start the engine and load the model, on a busy machine. The setting is for typing."""
SHOWN_LINES = 3
"""Lines of context above a suggestion on a terminal."""


@app.command(help="Print what belongs at a cursor, such as `infill complete src/app.py:12:5`.")
def complete(
    place: str = typer.Argument(..., metavar="FILE:LINE:COLUMN", help="The cursor; lines and columns count from 1, as editors show them."),
    as_json: bool = typer.Option(False, "--json", help="Print everything that is known about the answer."),
    n: int = typer.Option(1, "--n", min=1, max=3, help="How many different suggestions."),
) -> None:
    settings, problems = settings_file.load()
    for sentence in problems:
        output.note(sentence)
    request = _request(cursor.parse(place), settings)
    deadline = max(settings.completion.deadline_ms, DEADLINE_MS)
    settings = msgspec.structs.replace(settings, completion=msgspec.structs.replace(settings.completion, candidates=n, deadline_ms=deadline))
    outcome = asyncio.run(_ask(request, settings))
    if as_json:
        output.json(_facts(outcome, request))
    else:
        _show(outcome, request)


def _request(place: cursor.Place, settings: Settings) -> CompletionRequest:
    source = cursor.read(place)
    refused = Guard([], settings.privacy).refusal(source.path)
    return CompletionRequest(
        uri=source.path.as_uri(),
        path=source.shown,
        language=source.language,
        prefix=source.prefix[-PREFIX_CHARACTERS:],
        suffix=source.suffix[:SUFFIX_CHARACTERS],
        automatic=False,
        # as docs/privacy.md says, excluded files are sent only to the local model
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
        outcome = await completer.complete(request)
        # an answer that is long enough is not read to its end, which has the model's name
        return outcome if outcome.model else msgspec.structs.replace(outcome, model=model)
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
        "notes": outcome.notes,
    }


def _range(suggestion: Suggestion, request: CompletionRequest) -> dict[str, dict[str, int]]:
    """The replaced range, 1-based: from the cursor to the end of the text that the suggestion repeats."""
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
