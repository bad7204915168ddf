"""Dispatches arguments to a verb, and converts its exceptions to an exit code. Verbs are imported when called or listed by `--help`."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from infill import __version__
from infill.cli import VERBS, output
from infill.errors import InfillError
from infill.privacy import network

SUCCESS, FAILURE, INTERRUPTED = 0, 1, 130


class LazyVerbs(TyperGroup):
    """A command group that imports each command's module when needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        verb: typer.Typer = importlib.import_module(f"infill.cli.{cmd_name}").app
        verb.rich_markup_mode, verb._add_completion = app.rich_markup_mode, app._add_completion  # noqa: SLF001 - what is said once, holds for all
        command = get_command(verb)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=LazyVerbs,
    help="Complete and generate code with a model on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if output.on_terminal() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        output.say(f"infill {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Say which version this is."),
    offline: bool = typer.Option(False, "--offline", help="Try no connection but to this machine itself, whatever the verb."),
) -> None:
    if offline:
        network.go_offline()


def run(arguments: list[str]) -> int:
    """Run a command line; returns its exit code. A failure prints one message without a traceback."""
    try:
        get_command(app).main(args=arguments, prog_name="infill")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else SUCCESS
    except InfillError as exc:
        output.problem(exc.message, exc.hint)
        return FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        output.give_up()
        return FAILURE
    except OSError as exc:
        output.problem(f"{exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}.")
        return FAILURE
    return SUCCESS
