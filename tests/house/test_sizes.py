"""Limits on the length of functions and modules. A function or module that is too long needs to be divided."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

LONGEST_FUNCTION, MOST_FUNCTIONS, TYPICAL_FUNCTION = 60, 35, 10
"""Maximum lines of any function | of nine in ten | of the median."""
LONGEST_MODULE = 500


def _functions(file: Path) -> list[tuple[str, int]]:
    nodes = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [(f"{file}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1) for node in nodes]


def test_no_function_is_longer_than_a_screen(python_files: list[Path]) -> None:
    assert not [(where, size) for file in python_files for where, size in _functions(file) if size > LONGEST_FUNCTION]


def test_no_module_is_longer_than_one_can_keep_in_mind(python_files: list[Path]) -> None:
    assert not [(str(file), lines) for file in python_files if (lines := file.read_text("utf-8").count("\n")) > LONGEST_MODULE]


def test_most_functions_are_a_few_lines(python_files: list[Path], root: Path) -> None:
    sizes = sorted(size for file in python_files if root / "server" / "infill" in file.parents for _, size in _functions(file))
    assert statistics.median(sizes) <= TYPICAL_FUNCTION
    assert sizes[int(len(sizes) * 0.9)] <= MOST_FUNCTIONS
