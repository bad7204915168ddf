"""Every verb of every command runs at least once with every one of its options. An option that no line below uses fails a test here.

The real commands run in this process, in a home of their own; replaced are only measurements and builds that take minutes, and the end of `lsp`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from infill import paths
from infill.bench import (
    acceptance,
    beside,
    confidence,
    corpus,
    edits,
    figures,
    generating,
    ollama,
    packages,
    peer_build,
    quality,
    scaling,
    speed,
    table,
    typing,
)
from infill.bench.edits import Edited
from infill.bench.quality import Quality
from infill.bench.scaling import Cost
from infill.bench.speed import Speed
from infill.bench.table import Measured
from infill.bench.targets import Row
from infill.bench.typing import Comparison
from infill.cli import app
from infill.completion.filter import READING
from infill.engine import build as building
from infill.lsp import start
from infill.models import calibration, recommend, tune
from infill.models.fit import Plan
from infill.models.library import Built
from infill.privacy import network

SETTINGS = """
[models]
generate = "local:bundled"
[providers.remote.away]
kind = "openai"
url = "http://127.0.0.1:9"
model = "m"
keyVariable = "NO_SUCH_KEY"
"""
GGUF = str(paths.bundled_model())

# one command line a row, and the exit codes that are right; {folder} is the current folder
COMMANDS: tuple[tuple[str, set[int]], ...] = (
    ("--version", {0}),
    ("--offline doctor --json", {0, 1}),
    ("doctor", {0, 1}),
    ("doctor --kernels --again --json", {0, 1}),
    ("complete a.py:2:12", {0}),
    ("complete a.py:2:12 --json --n 2", {0}),
    ("generate --file a.py:1:14 --model local:bundled", {0, 1}),
    ("generate --file a.py:1:14 --out new.py", {0, 1}),
    ("generate add --language python", {0, 1}),
    (f"models import {GGUF} --id mine", {0}),
    (f"models import {GGUF} --copy --id copied --json", {0}),
    ("models import", {0}),
    ("models list", {0}),
    ("models list --json", {0}),
    ("models available", {0}),
    ("models available --json", {0}),
    ("models show mine", {0}),
    ("models show mine --json", {0}),
    ("models verify mine", {0}),
    ("models check mine", {0}),
    ("models check mine --json --background", {0, 130}),
    ("models check mine --stop", {0}),
    ("models use mine", {0}),
    ("models use mine --here", {0}),
    ("models use mine --role complete", {0}),
    ("models use mine --role generate", {1}),
    ("models use mine --role generate --here", {1}),
    ("models use openai:away/m --role generate --here", {0}),
    ("models use openai:away/m --role generate", {0}),
    ("models use mine --role nonsense", {1}),
    ("models download mine --use --yes --json", {0}),
    ("models download mine", {0}),
    ("--offline models download qwen2.5-coder-1.5b-q8_0 --again", {1}),
    ("models remove mine --unfinished", {0}),
    ("models remove mine", {1}),
    ("models recommend", {0, 1}),
    ("models recommend --role generate --measure --json", {0, 1}),
    ("--offline models recommend --get --yes", {0, 1}),
    ("models quantize copied q8_0", {0}),
    ("models remove mine --force", {0}),
    ("models import lmstudio:nothing", {1}),
    ("models rename copied Copy", {0}),
    ("models use bundled", {0}),
    ("models use bundled --here", {0}),
    ("providers list", {0}),
    ("providers list --models --json", {0}),
    ("providers login openai:away", {1}),
    ("providers logout openai:away", {0, 1}),
    ("providers test local", {0}),
    ("providers test openai:away --json", {1}),
    ("engine start", {0}),
    ("engine start --no-load --json", {0}),
    ("engine status", {0}),
    ("engine status --json", {0}),
    ("engine stop", {0}),
    ("engine stop --json", {0}),
    ("index rebuild", {0}),
    ("index rebuild {folder} --json", {0}),
    ("index status", {0}),
    ("index status {folder} --json", {0}),
    ("index status --all", {0}),
    ("index definitions a.py:2:12", {0, 1}),
    ("index definitions a.py:2:12 --folder {folder} --json", {0, 1}),
    ("index delete", {0}),
    ("index delete {folder} --all --json", {0}),
    ("tune bundled", {0, 1, 130}),
    ("tune bundled --json", {0, 1, 130}),
    ("tune --reset", {0}),
    ("build --backend cpu --dry-run", {0}),
    ("build --dry-run --json", {0}),
    ("build --backend cpu --source archive.tar.gz", {0}),
    ("build --backend cpu --prebuilt --index http://127.0.0.1:9 --json", {0}),
    ("build --reset", {0}),
    ("build --log", {0, 1}),
    ("lsp --stdio --offline --trust-workspace", {0}),
    ("lsp --socket {folder}/no/such/folder/s", {1}),
    ("lsp --tcp 192.0.2.1:1 --any-host", {1}),
    ("bench make-trace a.py --to {folder}/t.json --seed 2 --characters 60", {0}),
    ("bench typing --model bundled --trace {folder}/t.json --runs 1 --threads 1 --tokens 4 --report {folder}/r.html", {0}),
    ("bench typing --peer --json", {0}),
    ("bench build-peer --source archive.tar.gz --jobs 1 --option -DGGML_NATIVE=OFF", {0}),
    ("bench speed --model bundled --threads 1 --rounds 1 --llama-bench --report {folder}/s.html", {0}),
    ("bench speed --provider openai:away --json", {0}),
    ("bench speed --peer ollama --rounds 1", {0}),
    ("bench speed --peer ollama --json", {0}),
    ("bench speed --peer ollama --provider openai:away", {2}),
    ("bench speed --peer lmstudio", {2}),
    ("bench figures --shape bundled --rounds 1", {0}),
    ("bench figures --shape bundled --json", {0}),
    (("bench table --shape bundled --shape bundled --held {folder}/held.json --positions 1 --edits 1 --trace {folder}/t.json --runs 1 --rounds 1"
     " --threads 1 --tokens 4 --to {folder}/table"), {0}),
    ("bench table --shape bundled --shape bundled --json --to {folder}/table", {0}),
    ("bench quality --definitions {folder} --positions 1", {1}),
    ("bench quality --held {folder}/held.json --positions 1 --edits 1", {0}),
    ("bench quality --json", {0}),
    ("bench quality --confidence --model bundled --held {folder}/held.json --positions 1", {0}),
    ("bench quality --confidence --temperature 1.1 --before 700 --json", {0}),
    ("bench quality --acceptance --corpus {folder} --places 1 --seed 2", {0}),
    ("bench quality --acceptance --fetch --json", {0}),
    ("bench edits --eagerness wild", {2}),
    ("bench edits --repository {folder}/none --commits 1 --half even --json", {1}),
    ("bench edits --repository {folder} --half first", {2}),
    ("bench edits --lines 100", {0}),
    ("bench edits --report {folder}/edits.html", {0}),
    ("bench edits --answers {folder}/none --format sweep --json", {1}),
    ("bench edits --answers {folder}/none --live local:none", {1}),
    ("models use bundled --role edit", {1}),
    ("bench scaling --model bundled", {0}),
    ("bench scaling --model bundled --json", {0}),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # a socket's name must not be long, and pytest's own folders are
    made = Path(tempfile.mkdtemp(prefix="inf-"))
    (made / "a.py").write_text("def add(a, b):\n    return a\n" * 40)
    (made / "held.json").write_text('["def add(a, b):\\n    return a + b\\n"]')
    (made / "home" / "config").mkdir(parents=True)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(autouse=True)
def _home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"INFILL_HOME": str(folder / "home"), "OLLAMA_MODELS": str(folder), "HF_HOME": str(folder)}.items():
        monkeypatch.setenv(name, value)
    for name in network.VARIABLES:
        monkeypatch.setenv(name, "")  # set, so that they are restored: `--offline` sets them for the whole process
    monkeypatch.chdir(folder)
    settings = paths.config_directory() / "settings.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(SETTINGS)


def _give(value: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: value


def _give_later(value: Any) -> Callable[..., Any]:
    async def answer(*args: Any, **kwargs: Any) -> Any:
        return value

    return answer


ROW = Row(what="something", measured=1.0, target=2.0)
CONFIDENCE = confidence.Confidence(
    model="bundled",
    places=1,
    temperature=1.0,
    error=0.0,
    error_uncalibrated=0.0,
    bins=tuple(calibration.bins([])),
    sides=tuple(confidence.side([], 1.0, eagerness) for eagerness in READING),
)
SPEED = Speed(name="bundled", provider="local")
LONG_WORK: tuple[tuple[Any, str, Any], ...] = (
    (peer_build, "needed", _give(Path("program"))),
    (peer_build, "build", _give(Path("program"))),
    (typing, "compare", _give_later(Comparison(model="bundled", runs=()))),
    (speed, "local", _give_later(SPEED)),
    (speed, "remote", _give_later(SPEED)),
    (ollama, "needed", _give(Path("ollama"))),
    (
        beside,
        "compare",
        _give_later(beside.Comparison(model="bundled", peer="Ollama 1", threads=1, rounds=1, figures=[], same_answers=1, rows=[ROW])),
    ),
    (figures, "all_figures", _give_later([ROW])),
    (generating, "rows", _give_later([])),
    (table, "everything", _give_later(Measured(rows=(ROW,), comparisons=(), speeds=(SPEED,), qualities=(), edits=(), problems=()))),
    (
        quality,
        "quality",
        _give_later(
            Quality(model="bundled", order="psm", positions=1, same=1, right_fresh=1, right_moved=1, logprob_difference=0.0, evaluated_per_key=1.0)
        ),
    ),
    (edits, "edits", _give(Edited(model="bundled", order="psm", edits=1, agreed=1, moves=1, divergence=0.0, divergence_most=0.0))),
    (confidence, "confidence", _give_later(CONFIDENCE)),
    (corpus, "corpus", _give({})),
    (packages, "fetched", _give([])),
    (acceptance, "measure", _give_later(acceptance.Measured(places=1, seed=1, files={}, rows=(ROW,), tables={}, wrong=[]))),
    (scaling, "scaling", _give_later([Cost(grows_with="file", at="1", key_ms=1.0)])),
    (building, "build", _give(Built(directory="d", version="1", python="3", backend="cpu"))),
    (recommend, "measure", _give(recommend.Speeds(machine="", bundled_per_second=100.0, copied_per_second=1e10))),
    (tune, "tune", _give(tune.Outcome(model="local:bundled", plan=Plan(), table=(), message="As planned."))),
)
"""Module, function and what it gives at once instead of after minutes of measuring or compiling."""


def _end(*args: Any, **kwargs: Any) -> None:
    raise SystemExit(0)


@pytest.fixture(autouse=True)
def _no_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, instead in LONG_WORK:
        monkeypatch.setattr(module, name, instead)
    monkeypatch.setattr(start, "serve", _end)
    monkeypatch.setattr(start, "stdio", _give(None))


@pytest.mark.parametrize(("line", "codes"), COMMANDS, ids=[line.replace(GGUF, "FILE") for line, _ in COMMANDS])
def test_every_command_line_ends_as_it_should_and_without_a_traceback(
    line: str, codes: set[int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = app.run([word.format(folder=folder) for word in line.split()])
    said = capsys.readouterr()
    assert code in codes, said.err
    assert said.out or said.err or "lsp" in line
    assert "Traceback" not in said.err


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    if _is_group(command):
        context = command.make_context("infill", [], resilient_parsing=True)
        for name in command.list_commands(context):
            yield from _commands(command.get_command(context, name), (*path, name))


def _is_group(command: Any) -> bool:
    """Typer brings Click's classes or has its own, depending on its version."""
    return hasattr(command, "list_commands")


def _known() -> set[tuple[str, ...]]:
    """Command and parameter: all that Typer knows, `--help` apart."""
    return {(*path, parameter.name) for path, command in _commands(get_command(app.app)) for parameter in command.params}


def _used(line: str) -> set[tuple[str, ...]]:
    """Command and parameter: those that the line itself gives."""
    words, command = line.split(), get_command(app.app)
    path: tuple[str, ...] = ()
    found: set[tuple[str, ...]] = set()
    while True:
        context = command.make_context("infill", list(words), resilient_parsing=True)
        given = [one.name or "" for one in command.params if getattr(context.get_parameter_source(one.name or ""), "name", "") == "COMMANDLINE"]
        found |= {(*path, name) for name in given}
        rest = [*context._protected_args, *context.args]
        if not _is_group(command) or not rest:
            return found
        path, command, words = (*path, rest[0]), command.get_command(context, rest[0]), rest[1:]  # type: ignore[attr-defined]


def test_no_option_of_any_command_is_left_out_above() -> None:
    missing = sorted(" ".join(option) for option in _known() - {option for line, _ in COMMANDS for option in _used(line)})
    assert not missing, f"add a command line to COMMANDS for: {missing}"


def test_no_command_is_left_out_above() -> None:
    commands = {path for path, command in _commands(get_command(app.app)) if not _is_group(command)}
    missing = [path for path in commands if not any(line.removeprefix("--offline ").startswith(" ".join(path)) for line, _ in COMMANDS)]
    assert len(commands) > 20
    assert not missing
