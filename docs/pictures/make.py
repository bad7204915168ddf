"""Makes the pictures of the README and of docs/generate.md from the real thing, by `python docs/pictures/make.py`: draws what the commands printed.

The engine that answers is started in an empty home, so that the picture shows what a newcomer sees.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURES = {
    "terminal.svg": ("infill complete docs/examples/temperature.py:8:5", "infill engine status"),
    "generate.svg": ("infill generate --file docs/examples/account.py:22:20",),
}
COLUMNS = 110
TITLE = "infill"
ERASED = "\x1b[2K"


def printed(command: str, home: str) -> str:
    """What a command prints to a terminal, colours included."""
    environment = {**os.environ, "INFILL_HOME": home, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "COLORTERM": "truecolor"}
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "infill", *command.split()[1:]]
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    chunks = []
    while True:
        try:
            chunk = os.read(ours, 65_536)
        except OSError:  # how Linux says that the other end has gone
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(ours)
    if process.wait() != 0:
        raise SystemExit(f"{command} failed.")
    shown = b"".join(chunks).decode().replace("\r\n", "\n")
    return shown.rpartition(ERASED)[2]  # what a live view showed is gone by the end


def draw(screens: list[tuple[str, str]]) -> str:
    """An SVG of a terminal in which the commands were typed."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for command, output in screens:
        console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
        console.print(Text.from_ansi(output.rstrip("\n")))
        console.print()
    picture = console.export_svg(title=TITLE)
    # a picture asks no server for its letters
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        for name, commands in PICTURES.items():
            printed(commands[0], home)  # the first loads the model: what is drawn is a warm one
            screens = [(command, printed(command, home)) for command in commands]
            (ROOT / "docs" / "pictures" / name).write_text(draw(screens), "utf-8")
        printed("infill engine stop", home)


if __name__ == "__main__":
    main()
