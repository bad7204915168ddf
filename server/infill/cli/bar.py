"""A progress bar for long-running verbs, on stderr: drawn on a terminal, one line per 10 % otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from infill.cli import output

Update = Callable[[float, str], None]
"""The completed share, 0 to 1, and a short text about it."""


@contextlib.contextmanager
def bar(title: str) -> Iterator[Update]:
    """Show progress while the block runs."""
    if not output.on_terminal(sys.stderr):
        yield _lines(title)
        return
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.text import Text

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=output.console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=1.0, words=Text(""))
        yield lambda share, words: progress.update(task, completed=share, words=Text(words))


def _lines(title: str) -> Update:
    said = -1

    def update(share: float, words: str) -> None:
        nonlocal said
        if int(share * 10) > said:
            said = int(share * 10)
            output.note(f"{title}: {share:.0%} {words}".rstrip())

    return update
