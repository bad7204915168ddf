"""`infill generate "what to write"`: code from an instruction, to a terminal, a pipe or a file. Changes only the file of --out."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import typer

from infill import settings_file
from infill.cli import cursor, output
from infill.errors import InfillError, ModelError, RequestError
from infill.generation.choice import chosen, follows_instructions
from infill.generation.writer import NO_CODE, GenerationRequest, Progress, Writer
from infill.privacy.files import Guard
from infill.settings import Settings
from infill.state import BUNDLED, write_atomically

app = typer.Typer()


@app.command(help='Write code, such as `infill generate "read a CSV file into dicts" --file app.py:12:1`.')
def generate(
    instruction: str = typer.Argument("", metavar="[INSTRUCTION]", help="What to write; without one, the comment or signature at --file says it."),
    file: str = typer.Option("", "--file", metavar="FILE:LINE:COLUMN", help="Write for this place: the code around it is read, never changed."),
    model: str = typer.Option("", "--model", metavar="ID", help="Another model than the chosen one, such as local:qwen2.5-coder-7b-instruct-q4_k_m."),
    out: Path | None = typer.Option(None, "--out", help="Write the code into this file instead of printing it."),
    language: str = typer.Option("python", "--language", help="Language of the code, where there is no --file."),
) -> None:
    if not instruction and not file:
        raise typer.BadParameter("Say what to write, or name a place with --file.", param_hint="INSTRUCTION")
    settings, problems = settings_file.load()
    for sentence in problems:
        output.note(sentence)
    done = asyncio.run(_write(_request(instruction, file, language, settings, model), settings, to_file=out is not None))
    text = done.text.strip("\n") + "\n"
    if out is not None and not done.interrupted:
        _save(out, text)
    for note in done.notes:
        output.note(note)
    if done.interrupted:
        if out is not None:
            output.text(text)
            output.note(f"{out} was not written.")
        raise typer.Exit(1)
    rate = f", {done.tokens_per_second:.0f} tokens/s" if done.tokens_per_second else ""
    output.note(f"{done.model}: {done.tokens} tokens{rate}")


def _request(instruction: str, file: str, language: str, settings: Settings, model: str) -> GenerationRequest:
    wanted = _model(model or chosen(settings, str(Path.cwd()))[0], instruction, settings)
    follows = follows_instructions(wanted)
    if not file:
        return GenerationRequest(
            slot="generate", text="", start=0, end=0, language=language, instruction=instruction, model=wanted, follows_instructions=follows
        )
    source = cursor.read(cursor.parse(file))
    place = len(source.prefix)
    return GenerationRequest(
        slot=source.path.as_uri(),
        text=source.prefix + source.suffix,
        start=place,
        end=place,
        language=source.language,
        path=source.shown,
        instruction=instruction,
        model=wanted,
        follows_instructions=follows,
        remote_allowed=not Guard([], settings.privacy).refusal(source.path),
    )


def _model(wanted: str, instruction: str, settings: Settings) -> str:
    """The full model id. Raises UnknownModel or ModelMissing, and ModelError for the bundled model, which does not follow instructions."""
    from infill.providers import named

    full_id = named.full_id(wanted, settings) if wanted else ""
    if full_id == BUNDLED and instruction:
        message = "The bundled model does not follow instructions: it only continues code."
        raise ModelError(message, "Download a model that does: `infill models recommend --role generate --get`.")
    return full_id


async def _write(request: GenerationRequest, settings: Settings, *, to_file: bool) -> Progress:
    from infill.providers import setup
    from infill.providers.local import LocalProvider

    local = LocalProvider(settings, model=lambda: setup.local_model(request.model), client="infill generate")
    chain = setup.chain(settings, local, model=request.model, tell=lambda error: output.note(str(error)))
    last = None
    try:
        async with aclosing(Writer(chain, settings.generate).write(request)) as progress:
            with output.live() as live:
                async for last in progress:
                    if not to_file or output.on_terminal():
                        live(last.text, f"{last.activity}{last.tokens} tokens, {last.tokens_per_second:.0f}/s")
    finally:
        await chain.aclose()
    if last is None or not last.text.strip():
        said = next((note for note in last.notes if note == NO_CODE), "The model wrote nothing.") if last else "The model wrote nothing."
        raise InfillError(said, "Say more, or choose another model: `infill models list`.")
    if not to_file:
        output.text(last.text.strip("\n") + "\n")
    return last


def _save(out: Path, text: str) -> None:
    try:
        write_atomically(out.absolute(), text.encode())
    except OSError as exc:
        raise RequestError(f"{out} cannot be written: {exc.strerror}.", "Name another file with --out.") from exc
    output.note(f"written to {out}")
