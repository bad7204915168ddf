"""The command line. One verb a file: `cli/<verb>.py` holds `app`, a Typer of its own, and its name stands in VERBS; nothing else is needed.

Nothing is imported before it is known what is wanted: `--version` loads not even Typer, and `infill lsp` only its own verb. Verbs print through
`cli.output` alone, raise InfillError for failures (exit code 1), and leave wrong usage to Typer (exit code 2).
"""

from __future__ import annotations

import sys

from infill import __version__
from infill.cli import output

VERBS = ("lsp", "complete", "generate", "models", "engine", "index", "providers", "doctor", "tune", "build", "bench")
"""In the order of `infill --help`."""
EDITORS_OPTIONS = frozenset({"--stdio", "--offline", "--trust-workspace"})
"""With these alone `infill lsp` needs no parser: an editor waits for it."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    wanted = sys.argv[1:] if arguments is None else arguments
    if wanted == ["--version"]:
        output.say(f"infill {__version__}")
        return
    if wanted[:1] == ["lsp"] and EDITORS_OPTIONS.issuperset(wanted[1:]):
        from infill.lsp import start

        start.serve(start.stdio(), offline="--offline" in wanted, trust_workspace="--trust-workspace" in wanted)
    from infill.cli import app

    sys.exit(app.run(wanted))
