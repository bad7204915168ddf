"""Import rules: the contracts of pyproject.toml, and the only packages that may import llama.cpp, LSP, HTTP and terminal libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

HTTP = ("httpx2", "httpcore2", "huggingface_hub", "requests", "urllib3", "aiohttp")
ONLY = [
    ("llama_cpp", ("infill.engine.llama", "infill.engine.runtime", "infill.engine.sampling", "infill.engine.probe", "infill.models.quantize")),
    ("pygls", ("infill.lsp",)),
    ("lsprotocol", ("infill.lsp",)),
    ("rich", ("infill.cli.output", "infill.cli.bar")),
    ("click", ()),
    ("tree_sitter", ("infill.index.grammars", "infill.index.outline")),
    *((library, ("infill.providers", "infill.models.download", "infill.models.transfer")) for library in HTTP),
]
"""Library | packages that may import it (a package includes its modules)."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("infill", include_external_packages=True, cache_dir=None)


def test_every_room_imports_only_what_stands_below_it(root: Path) -> None:
    # a separate process: the linter reconfigures logging and would disable the other loggers
    linter = f"import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(config_filename={str(root / 'pyproject.toml')!r}, no_cache=True))"
    done = subprocess.run([sys.executable, "-c", linter], cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("library", "allowed"), ONLY, ids=[library for library, _ in ONLY])
def test_a_library_is_known_only_in_its_rooms(graph: grimp.ImportGraph, library: str, allowed: tuple[str, ...]) -> None:
    importers = graph.find_modules_that_directly_import(library) if library in graph.modules else set()
    strangers = {module for module in importers if not any(module == room or module.startswith(f"{room}.") for room in allowed)}
    assert not strangers, f"{library} is imported by {sorted(strangers)}"


def _loaded_by(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('modules', *sys.modules)"], capture_output=True, text=True, check=True, timeout=60
    )
    return set(run.stdout.rpartition("modules ")[2].split())


HEAVY = {
    *("llama_cpp", "numpy", "huggingface_hub", "httpx", "httpx2", "httpcore", "httpcore2", "http", "email", "sqlite3", "keyring", "pathspec"),
    *("detect_secrets", "filelock", "rich", "typer", "click", "requests", "multiprocessing", "unittest", "xml", "yaml", "jinja2"),
    *(f"infill.engine.{module}" for module in ("runtime", "llama", "server", "worker", "sampling", "probe", "build", "process")),
    *(f"infill.models.{module}" for module in ("download", "transfer", "hardware", "fit", "tune", "quantize", "importing")),
    *(f"infill.providers.{module}" for module in ("chain", "llamacpp", "ollama", "openai", "mistral")),
    *(f"infill.index.{module}" for module in ("outline", "grammars", "database", "build", "builder")),
    *("infill.bench", "infill.cli", "tree_sitter"),
}
"""Modules that are slow to load, and are imported only when they are first needed."""


def test_the_language_server_starts_with_nothing_that_takes_long_to_load() -> None:
    loaded = _loaded_by("import infill.lsp.server")
    assert "infill.lsp.server" in loaded
    assert not loaded & HEAVY


def test_what_must_not_be_loaded_at_the_start_is_there_by_that_name(graph: grimp.ImportGraph) -> None:
    assert {name for name in HEAVY if name.startswith("infill.")} <= graph.modules


def test_asking_for_the_version_loads_next_to_nothing() -> None:
    loaded = _loaded_by("import sys\nsys.argv = ['infill', '--version']\nfrom infill.cli import main\ntry: main()\nexcept SystemExit: pass")
    assert "infill.cli" in loaded
    assert not loaded & {"typer", "rich", "click", "pygls", "msgspec", "asyncio", "llama_cpp", "numpy"}
