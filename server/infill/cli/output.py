"""The only place that prints. Facts go to stdout, words about the run to stderr; tables and colours only where a terminal shows them.

Text of others (a suggestion, a path, a model's title) is never read as markup.
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
"""What could move a terminal's cursor, change its title, turn text around or hide in it (tags)."""
_noted: set[str] = set()


def say(text: str) -> None:
    """A line for whoever called, also in a pipe."""
    _write(f"{text}\n")


def text(value: str) -> None:
    """Text as it is: nothing added, not even a newline."""
    _write(value)


def json(value: Any) -> None:
    """Facts for a program: one JSON document; a path is written as its text."""
    import msgspec

    _write(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode() + "\n")


def note(message: str) -> None:
    """Words beside the facts, on stderr."""
    _noted.add(message)
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{_harmless(message) if on_terminal(sys.stderr) else message}\n")
        sys.stderr.flush()


def problem(message: str, hint: str = "") -> None:
    """What went wrong and the next step, on stderr; nothing where a note said the same."""
    if f"{message} {hint}".strip() in _noted:
        return
    if on_terminal(sys.stderr):
        console(stderr=True).print("[bold red]infill:[/] ", _plain(f"{message} {hint}".strip()), sep="")
    else:
        note(f"infill: {message} {hint}".rstrip())


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Rows of facts: a table on a terminal, tab-separated lines in a pipe."""
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
    """Names and their values, one a line."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        if on_terminal():
            console().print(_plain(name.ljust(width), "bold"), _plain(value), sep="  ")
        else:
            _write(f"{name}\t{value}\n")


def suggestion(before: str, text: str, after: str) -> None:
    """A suggestion where it would stand: what is there already is dim."""
    from rich.text import Text

    parts = Text.assemble((_harmless(before), "dim"), (_harmless(text), "bold green"), (_harmless(after), "dim"))
    console().print(parts)


@contextlib.contextmanager
def live() -> Iterator[Callable[[str, str], None]]:
    """Text that grows, with a line about it below; gone at the end. On a terminal only: a pipe gets the finished text alone."""
    if not on_terminal():
        yield lambda text, line: None
        return
    from rich.console import Group
    from rich.live import Live

    with Live(console=console(), refresh_per_second=20, transient=True, vertical_overflow="crop") as shown:
        yield lambda text, line: shown.update(Group(_plain(text), _plain(line, "dim")))


def on_terminal(stream: Any = None) -> bool:
    """Whether a person looks on."""
    stream = sys.stdout if stream is None else stream
    return bool(stream and stream.isatty() and os.environ.get("TERM") != "dumb")


def console(stderr: bool = False) -> Console:
    """Rich's console, for progress bars and live views of the verbs that need one; loads Rich."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def give_up() -> None:
    """Whoever read our output has gone: make sure that Python says nothing about it at the end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(value: str) -> None:
    # a lone surrogate or a terminal that speaks ASCII must not end in a traceback
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
