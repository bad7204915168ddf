"""The command line. Each verb is a file: `cli/<verb>.py` defines `app`, a Typer app, and VERBS lists its name.

Imports are delayed until the verb is known: `--version` does not load Typer, and `infill lsp` loads only its own verb. Verbs print only through
`cli.output`, raise InfillError for failures (exit code 1), and leave usage errors to Typer (exit code 2).
"""

from __future__ import annotations

import sys

from infill import __version__
from infill.cli import output

VERBS = ("lsp", "complete", "generate", "models", "engine", "index", "providers", "doctor", "tune", "build", "bench")
"""In the order of `infill --help`."""
EDITORS_OPTIONS = frozenset({"--stdio", "--offline", "--trust-workspace"})
"""If `infill lsp` has only these options, no parser is loaded, because the editor waits for the start."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process with its exit code."""
    wanted = sys.argv[1:] if arguments is None else arguments
    if wanted == ["--version"]:
        output.say(f"infill {__version__}")
        return
    if wanted[:1] == ["lsp"] and EDITORS_OPTIONS.issuperset(wanted[1:]):
        from infill.lsp import start

        start.serve(start.stdio(), offline="--offline" in wanted, trust_workspace="--trust-workspace" in wanted)
    from infill.cli import app

    sys.exit(app.run(wanted))
