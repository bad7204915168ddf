"""The only module that prints. Results go to stdout, messages about the run to stderr; tables and colours only on a terminal.

Text from outside (a suggestion, a path, a model's title) is never parsed as markup.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
"""Characters that could move a terminal's cursor, change its title, reverse text or hide in it (tags)."""
_noted: set[str] = set()


def say(text: str) -> None:
    """Print a line to stdout."""
    _write(f"{text}\n")


def text(value: str) -> None:
    """Print text unchanged, without adding a newline."""
    _write(value)


def json(value: Any) -> None:
    """Print one JSON document; paths become strings."""
    import msgspec

    _write(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode() + "\n")


def note(message: str) -> None:
    """Print a message to stderr."""
    _noted.add(message)
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{_harmless(message) if on_terminal(sys.stderr) else message}\n")
        sys.stderr.flush()


def problem(message: str, hint: str = "") -> None:
    """Print an error and the next step to stderr, unless a note had the same text."""
    if f"{message} {hint}".strip() in _noted:
        return
    if on_terminal(sys.stderr):
        console(stderr=True).print("[bold red]infill:[/] ", _plain(f"{message} {hint}".strip()), sep="")
    else:
        note(f"infill: {message} {hint}".rstrip())


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print rows: a table on a terminal, tab-separated lines in a pipe."""
    if not on_terminal():
        for row in rows:
            _write("\t".join(cell.replace("\n", " ") for cell in row) + "\n")
        return
    from rich.table import Table

    shown = Table(*columns, title=_plain(title, "italic") if title else None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*(_plain(cell, STYLES.get(cell, "")) for cell in row))
    console().print(shown)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair per line."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        if on_terminal():
            console().print(_plain(name.ljust(width), "bold"), _plain(value), sep="  ")
        else:
            _write(f"{name}\t{value}\n")


def suggestion(before: str, text: str, after: str) -> None:
    """Print a suggestion in its context, with the existing text dimmed."""
    from rich.text import Text

    parts = Text.assemble((_harmless(before), "dim"), (_harmless(text), "bold green"), (_harmless(after), "dim"))
    console().print(parts)


@contextlib.contextmanager
def live() -> Iterator[Callable[[str, str], None]]:
    """Show growing text and a status line below it, removed at the end. Only on a terminal; a pipe gets only the finished text."""
    if not on_terminal():
        yield lambda text, line: None
        return
    from rich.console import Group
    from rich.live import Live

    with Live(console=console(), refresh_per_second=20, transient=True, vertical_overflow="crop") as shown:
        yield lambda text, line: shown.update(Group(_plain(text), _plain(line, "dim")))


def on_terminal(stream: Any = None) -> bool:
    """Whether the stream is a terminal."""
    stream = sys.stdout if stream is None else stream
    return bool(stream and stream.isatty() and os.environ.get("TERM") != "dumb")


def console(stderr: bool = False) -> Console:
    """Rich's console, for progress bars and live views; loads Rich."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def give_up() -> None:
    """Ignore further output after the reader of stdout exited, so that Python reports no error at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(value: str) -> None:
    # unpaired surrogates and ASCII terminals must not cause a traceback
    encoding = sys.stdout.encoding or "utf-8"
    if on_terminal():
        value = _harmless(value)
    sys.stdout.write(value.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _plain(value: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(_harmless(value), style=style)


def _harmless(value: str) -> str:
    import re

    return re.sub(_CONTROL, lambda found: found[0].encode("unicode_escape").decode(), value)
