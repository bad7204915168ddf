"""Text that no file may contain, and text that every file must have."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "X" * 3 + r"\b", "raise NotImplemented" + "Error")))
ELSEWHERE = re.compile("|".join((r"\.\./" + "shared", "/work" + "/", "/tmp" + "/w/")))
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "models.toml",
    "server",
    "clients",
    "tests",
    "docs",
    "LICENSE",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "check",
    "requirements.lock",
    # the root is a Neovim plugin, for plugin managers
    "lsp",
    "lua",
    "plugin",
}
BY_ITS_OWN_NAME = {"conftest.py", "sitecustomize.py"}
"""Python files that pytest and Python find by name."""
TEXT = {".py", ".md", ".toml", ".json", ".ts", ".js", ".mjs", ".lua", ".txt", ".yml", ".yaml", ".sh", ".html", ".css", ".vim", ".el", ""}
ASSERTING = re.compile(r"^_?(check|assert|raises|fail|expect|warns|until|run_state_machine)")


def _lines(files: list[Path], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file}:{number}: {line.strip()[:100]}"
        for file in files
        if file.suffix in TEXT and file.name != "package-lock.json"
        for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_unfinished(files: list[Path], root: Path) -> None:
    assert not _lines([file for file in files if root / "docs" not in file.parents], UNFINISHED)


def test_the_project_stands_alone(files: list[Path]) -> None:
    assert not _lines(files, ELSEWHERE)


def test_the_top_level_has_nothing_but_the_house_s_rooms(root: Path) -> None:
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True)
    # an unpacked source archive has no git: check the directory instead
    names = {line.partition("/")[0] for line in listed.stdout.splitlines()} or {entry.name for entry in root.iterdir()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_every_module_says_what_it_is_for(python_files: list[Path], root: Path) -> None:
    modules = [file for file in python_files if root / "server" in file.parents and file.read_text("utf-8").strip()]
    assert modules
    assert not [str(file) for file in modules if not ast.get_docstring(ast.parse(file.read_text("utf-8")))]


def _asserts(test: ast.AST, helpers: frozenset[str] = frozenset()) -> bool:
    """Whether the code can fail: it has an assert, or calls a helper or a function whose name shows that it asserts."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if ASSERTING.match(name) or name in helpers:
                return True
    return False


def _functions(module: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(module) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _silent(module: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Tests that assert nothing, directly or through a function of their own module."""
    helpers = frozenset(function.name for function in _functions(module) if not function.name.startswith("test_") and _asserts(function))
    return [function for function in _functions(module) if function.name.startswith("test_") and not _asserts(function, helpers)]


def test_every_test_asserts_something(python_files: list[Path], root: Path) -> None:
    silent = [
        f"{file}:{test.lineno} {test.name}"
        for file in python_files
        if root / "tests" in file.parents and file.name.startswith("test_")
        for test in _silent(ast.parse(file.read_text("utf-8")))
    ]
    assert not silent


def test_no_test_sleeps_for_a_fixed_time(python_files: list[Path], root: Path) -> None:
    """`sleep` is allowed inside `while` or `for`: it polls until a deadline."""
    naps = []
    for file in python_files:
        if root / "tests" not in file.parents:
            continue
        tree = ast.parse(file.read_text("utf-8"))
        looped = {id(inner) for loop in ast.walk(tree) if isinstance(loop, (ast.While, ast.For, ast.AsyncFor)) for inner in ast.walk(loop)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sleep" and id(node) not in looped:
                seconds = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else 1
                # allowed: sleep(0) only yields, and 30 seconds or more stands for "never returns"
                if seconds != 0 and not (isinstance(seconds, (int, float)) and seconds >= 30):
                    naps.append(f"{file}:{node.lineno}")
    assert not naps


def test_only_the_output_module_prints(python_files: list[Path], root: Path) -> None:
    package = root / "server" / "infill"
    printing = re.compile(r"\bsys\.std(out|err)\.write\(|\b(typer|click)\.(echo|secho)\(|(?<![\w.])print\(|\.__stdout__")
    noisy = [file for file in python_files if package in file.parents and file not in {package / "cli" / "output.py", package / "install.py"}]
    assert not _lines(noisy, printing)


def test_no_two_test_files_share_a_name(python_files: list[Path], root: Path) -> None:
    """pytest imports test files, and these their helpers, by bare name."""
    names = [file.name for file in python_files if root / "tests" in file.parents and file.name not in BY_ITS_OWN_NAME]
    assert sorted({name for name in names if names.count(name) > 1}) == []
