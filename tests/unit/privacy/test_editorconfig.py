"""`.editorconfig`: which section means a file, which file counts, and what an untrusted one cannot do."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.privacy import editorconfig


@pytest.mark.parametrize(
    ("pattern", "name", "means"),
    [
        ("*", "a/b.py", True),
        ("*.py", "a/b.py", True),
        ("*.py", "b.pyx", False),
        ("*.{js,ts}", "src/a.ts", True),
        ("*.{js,ts}", "src/a.tsx", False),
        ("{package.json,*.yml}", "x/package.json", True),
        ("Makefile", "lib/Makefile", True),
        ("lib/**.js", "lib/a/b.js", True),
        ("lib/**.js", "src/lib/b.js", False),
        ("/lib/*.js", "lib/a.js", True),
        ("lib/*.js", "lib/a/b.js", False),
        ("**/b.js", "lib/a/b.js", True),
        ("?.py", "a.py", True),
        ("?.py", "ab.py", False),
        ("[ab].py", "b.py", True),
        ("[!ab].py", "b.py", False),
        ("[a-c]x.py", "bx.py", True),
        ("file{1..3}.txt", "file2.txt", True),
        ("file{1..3}.txt", "file4.txt", False),
        ("{single}.txt", "{single}.txt", True),
        ("*.{c,{h,hpp}}", "a.hpp", True),
        ("a\\*.py", "a*.py", True),
    ],
)
def test_a_section_means_the_files_that_its_pattern_says(pattern: str, name: str, means: bool) -> None:
    assert editorconfig.matches(pattern, name, editorconfig.Budget()) is means


def test_the_nearest_file_counts_most_and_root_ends_the_search(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "src" / "deep").mkdir(parents=True)
    (tmp_path / ".editorconfig").write_text("[*]\nindent_size = 7\n")
    (folder / ".editorconfig").write_text("[*]\nindent_style = tab\ntab_width = 8\n[*.py]\nindent_style = SPACE ; a comment\n")
    (folder / "src" / ".editorconfig").write_text("\ufeff[*.py]\nindent_size = 2\n")
    file = folder / "src" / "deep" / "a.py"
    assert editorconfig.properties(file, folder) == {"indent_style": "space", "tab_width": "8", "indent_size": "2"}
    (folder / "src" / ".editorconfig").write_text("root = true\n[*]\nindent_size = 3\n")
    assert editorconfig.properties(file, folder) == {"indent_size": "3"}
    (folder / "src" / ".editorconfig").write_text("root = true\n[*]\nindent_size = 3\n[a.py]\nindent_size = unset\n")
    assert editorconfig.properties(file, folder) == {}


@pytest.mark.parametrize(("said", "columns"), [("4", 4), ("tab", 0), ("-4", 0), ("0", 0), ("99999999999999", 0), ("17", 0), ("\u0664", 0), (None, 0)])
def test_a_width_is_a_small_number(said: str | None, columns: int) -> None:
    assert editorconfig.columns(said) == columns


def test_what_is_no_regular_file_of_the_workspace_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    secret = tmp_path / "elsewhere"
    secret.write_text("[*]\nindent_size = 3\n")
    (folder / ".editorconfig").symlink_to(secret)
    assert editorconfig.properties(folder / "a.py", folder) == {}
    (folder / ".editorconfig").unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / ".editorconfig")
        assert editorconfig.properties(folder / "a.py", folder) == {}
        (folder / ".editorconfig").unlink()
    (folder / ".editorconfig").write_bytes(b"[*]\nindent_size = 3\n" + b"#" * 300_000)
    assert editorconfig.properties(folder / "a.py", folder) == {}


@pytest.mark.parametrize(
    "pattern", ["*" * 1000, "a*" * 500, "{a,b}" * 200, "{1..999999999}", "{" * 500 + "," + "}" * 500, "[" * 1000, "\\" * 1000, "x" * 2000]
)
def test_no_pattern_takes_exponential_time(pattern: str) -> None:
    """Exponential time would be years, so that ending at all is what is tested."""
    with contextlib.suppress(editorconfig.TooMuch):
        assert editorconfig.matches(pattern, "a" * 200 + "b", editorconfig.Budget()) in {True, False}


@pytest.mark.parametrize("pattern", ["*a" * 500, "**/*a" * 200, "*?" * 500, "{*a*a*a,*b*b*b}" * 60, "[a-z]*" * 150])
@pytest.mark.parametrize("name", ["a" * 255, "a/" * 2000 + "b"])
def test_a_star_takes_no_more_steps_than_the_name_has_characters(pattern: str, name: str) -> None:
    budget = editorconfig.Budget(10**9)
    editorconfig.matches(pattern, name, budget)
    assert 10**9 - budget.left <= 300 * len(pattern) * (len(name) + 50)


def test_stars_reach_what_they_may_from_each_place(tmp_path: Path) -> None:
    assert editorconfig._after_star("ab/cd/e", {1, 3}, across=False) == {1, 2, 3, 4, 5}
    assert editorconfig._after_star("ab/cd/e", {1, 3}, across=True) == {1, 2, 3, 4, 5, 6, 7}
    assert editorconfig._after_star("ab/cd/e", set(), across=True) == set()


@pytest.mark.parametrize(
    "content",
    [
        "".join(f"[{'*a' * 500}]\n" for _ in range(260)),
        "".join(f"[{'{*a,*b}' * 140}]\n" for _ in range(260)),
        "".join(f"[{'[a-zA-Z0-9]' * 90}{n}]\n" for n in range(260)),
        "a\n" * 131_000,
    ],
    ids=["stars", "braces", "sets", "lines"],
)
def test_files_that_need_too_many_steps_say_nothing(tmp_path: Path, content: str) -> None:
    """64 of them in one another: the steps are counted for all together."""
    place = tmp_path
    for _ in range(64):
        (place / ".editorconfig").write_text(content + "[*]\nindent_size = 3\n")
        place /= "d"
        place.mkdir()
    assert editorconfig.properties(place / ("a" * 250 + ".py"), tmp_path) == {}


def test_an_ordinary_file_needs_a_small_part_of_the_steps(tmp_path: Path) -> None:
    sections = "".join(f"[*.{{e{n},f{n}}}]\nindent_size = 2\n[src/**/gen{n}_*.py]\nindent_size = 8\n" for n in range(20))
    (tmp_path / ".editorconfig").write_text(f"root = true\n[*]\nindent_size = 3\n{sections}")
    budget = editorconfig.Budget()
    editorconfig._parsed((tmp_path / ".editorconfig").read_text(), "src/package/module/file.py", budget)
    assert budget.left > 0.95 * editorconfig.MOST_STEPS
    assert editorconfig.properties(tmp_path / "src" / "a.py", tmp_path) == {"indent_size": "3"}


@given(st.text("ab*?[]!{},.-\\/1", max_size=30), st.text("ab./-1", max_size=20))
def test_no_pattern_is_too_strange(pattern: str, name: str) -> None:
    assert editorconfig.matches(pattern, name, editorconfig.Budget()) in {True, False}
