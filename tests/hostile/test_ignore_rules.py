"""Ignore patterns mean what git says that they mean, and take linear time whatever they are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from infill.privacy.files import Guard, names_a_secret
from infill.privacy.ignore_rules import LONGEST_PATTERN, MOST_PATTERNS, IgnoreRules, NotJudged, lines_of
from infill.settings import Privacy

posix = pytest.mark.skipif(sys.platform == "win32", reason="names on Windows have fewer characters")
LETTERS = "ab" * 4 + "-.]![#^ é" + ("" if sys.platform == "win32" else ":\\?*\t\x80")
NAMES = (
    st.text(st.sampled_from(LETTERS), min_size=1, max_size=4)
    .map(lambda name: name.replace("\x80", "\udcff"))
    .filter(lambda name: name not in {".", ".."})
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join).filter(lambda path: not path.startswith(":"))  # git's pathspecs begin so
PIECES = st.sampled_from(
    [
        *"aabbcc***?/!\\- .]#^[",
        *[
            "**",
            "**",
            "/**",
            "**/",
            "/**/",
            "***",
            "a**/b",
            "\\*",
            "\\/",
            "[ab]",
            "[!a]",
            "[^a]",
            "[a-c]",
            "[]a]",
            "[a-]",
            "[\\]]",
            "[[:alpha:]]",
            "[[:nothing:]]",
            "[[:",
            "[a",
            "[/]",
            "[.-a]",
            "[z-a]",
            "[!z-a]",
            "é",
            "[é]",
        ],
        *("\\ ", "  ", "\t", "\r", "\x00", "\udcff"),
    ]
)
PATTERNS = st.lists(PIECES, min_size=1, max_size=7).map("".join)
CALM = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))

HOSTILE = [
    "*a" * 20 + "*b",
    "*a" * 500 + "b",
    "*?" * 500 + "b",
    "*[ab]" * 200 + "c",
    "**/" * 300 + "b",
    "**/a*/" * 150 + "b",
    "**/*a*a*/" * 100 + "b",
    "a/**/" * 200 + "*b",
    "?*" * 500,
    "[a-z]*" * 150 + "[0-9]",
    "[" * 1000,
    "\\" * 1023,
    "[!" + "a-" * 500 + "]",
    "[[:alpha:]*" * 90,
    "!" * 1000,
]


@pytest.mark.parametrize("pattern", HOSTILE, ids=lambda pattern: pattern[:12])
@pytest.mark.parametrize("path", ["a" * 255, "/".join("a" * 64), "/".join(["a" * 60] * 64)], ids=["long name", "deep", "deep and long"])
def test_no_pattern_takes_exponential_time(pattern: str, path: str) -> None:
    """Exponential time would be years, so that ending at all is what is tested."""
    assert IgnoreRules([pattern, f"/{pattern}"]).ignores(path) in {True, False}


@pytest.mark.parametrize("pattern", ["*a" * 100 + "*b", "/*a*b", "/**/a*/c", "**/a/**/b", "/a**/b"])
def test_no_pattern_takes_quadratic_time(pattern: str) -> None:
    """Of a name or a path of a million letters, which quadratic time would need hours for."""
    rules = IgnoreRules([pattern])
    assert rules.verdict(["a" * 1_000_000]) is None
    assert rules.verdict(["a"] * 500_000) is None


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def as_git_says(repository: Path, paths: Sequence[str], *, ignore_case: bool = False) -> set[str]:
    asked = b"\0".join(map(os.fsencode, paths))
    options = ["-c", f"core.ignorecase={ignore_case}", "-c", "core.excludesfile=", "-C", str(repository)]
    done = subprocess.run(["git", *options, "check-ignore", "--no-index", "-z", "--stdin"], input=asked, capture_output=True, timeout=60)
    assert done.returncode in {0, 1}, done.stderr
    return set(filter(None, os.fsdecode(done.stdout).split("\0")))


def write(folder: Path, patterns: Sequence[str]) -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    content = os.fsencode("\n".join(patterns))
    (folder / ".gitignore").write_bytes(content)
    return content


@CALM
@given(st.lists(PATTERNS, min_size=1, max_size=5), st.lists(PATHS, min_size=5, max_size=25, unique=True))
@example(["[[:alpha:]]", "!b"], ["a", "b", "-"])
@example(["a//b", "a\\ ", "\\#a", "\\!a"], ["a/b", "a", "#a", "!a"])
@example(["a**/b"], ["ab", "aab", "a/b", "aa/b", "a/a/b", "b", "aa/aa/b"])
@example(["d/a**/b", "!d/ab/b"], ["d/ab", "d/a/b", "d/ab/b", "ab"])
@example(["d/a**", "!d/ab"], ["d/a", "d/ab", "d/ab/c"])
@example(["a/**\\/b"], ["a/b", "a/a/b", "a/a/a/b"])
@example(["?**/b", "\\a**/b"], ["ab", "ab/b", "a/a/b", "aa/b"])
@example(["??.py"], ["é.py", "ab.py", "a.py"])
@example(["a\x00b", "b \x00"], ["a", "b", "ab"])
@example(["[.-a]b", "a[!z-a]b"], [".b", "a/b", "acb", "c/ab"])
def test_rules_mean_what_git_says(repository: Path, patterns: list[str], paths: list[str]) -> None:
    """The folders need not exist: every path is asked as a file."""
    rules = IgnoreRules(lines_of(write(repository, patterns)), case_blind=False)
    assert {path for path in paths if rules.ignores(path)} == as_git_says(repository, paths)


@CALM
@given(st.lists(st.sampled_from(["A*b", "a**/B", "AB", "/aB", "b/*A", "**/Ab", "!ab", "É"]), min_size=1), st.lists(PATHS, min_size=5, unique=True))
def test_rules_mean_what_git_says_where_case_makes_no_difference(repository: Path, patterns: list[str], paths: list[str]) -> None:
    rules = IgnoreRules(lines_of(write(repository, patterns)), case_blind=True)
    assert {path for path in paths if rules.ignores(path)} == as_git_says(repository, paths, ignore_case=True)


@pytest.mark.parametrize(
    "name", ["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit", "word", ""]
)
@pytest.mark.parametrize("negated", ["", "!", "^"])
def test_classes_of_characters_are_those_of_git(repository: Path, name: str, negated: str) -> None:
    paths = [f"x{os.fsdecode(bytes([octet]))}" for octet in range(1, 256) if octet != ord("/")]
    rules = IgnoreRules(lines_of(write(repository, [f"x[{negated}[:{name}:]]"])), case_blind=False)
    assert {path for path in paths if rules.ignores(path)} == as_git_says(repository, paths)


RULES = st.lists(PATTERNS, max_size=4)
FOLDERS = st.lists(st.sampled_from("ab"), max_size=3).map("/".join)


@CALM
@given(st.dictionaries(FOLDERS, RULES, min_size=1, max_size=4), st.lists(PATHS, min_size=5, max_size=25, unique=True))
@example({"": ["*"], "a": ["!b"]}, ["a/b", "b", "a/c"])
@example({"": ["a/*", "!a/b"], "a": ["b"]}, ["a/b", "a/c"])
@example({"": ["!a"], "a": ["**/b", "!/b"]}, ["a/b", "a/a/b"])
def test_ignore_files_in_several_folders_mean_what_git_says(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, list[str]], paths: list[str]
) -> None:
    repository = tmp_path_factory.mktemp("files")
    subprocess.run(["git", "init", "-q", "--template=", str(repository)], check=True)
    for folder, patterns in files.items():
        write(repository / folder, patterns)
    asked = [path for path in paths if not names_a_secret(repository / path, PurePath(path))]
    guard = Guard([repository], Privacy())
    assert {path for path in asked if guard.refusal(repository / path)} == as_git_says(repository, asked)


@pytest.mark.parametrize(
    ("pattern", "ignored", "kept"),
    [
        ("*.log", "deep/a.log", "a.log.txt"),
        ("build/", "build/x.py", "build"),
        ("/top.py", "top.py", "sub/top.py"),
        ("doc/*.txt", "doc/a.txt", "doc/sub/a.txt"),
        ("a/**/b", "a/x/y/b", "a/x/bb"),
        ("**/foo/bar", "x/foo/bar", "foo/x/bar"),
        ("[[:digit:]]*", "1a", "a1"),
        ("[!a-c]x", "dx", "ax"),
        ("a\\*", "a*", "ab"),
        ("trailing\\ ", "trailing ", "trailing"),
        ("[z-a]", "nothing", "b"),
    ],
)
def test_the_usual_patterns_match_what_they_should(pattern: str, ignored: str, kept: str) -> None:
    rules = IgnoreRules([pattern])
    assert rules.ignores(ignored) or pattern == "[z-a]"
    assert not rules.ignores(kept)


def test_a_byte_order_mark_comments_and_windows_line_ends_are_no_patterns() -> None:
    rules = IgnoreRules(lines_of(b"\xef\xbb\xbf# *\r\n\r\n*.log\r\n"))
    assert rules.ignores("a.log")
    assert not rules.ignores("a.py")


def test_more_patterns_than_a_limit_are_not_judged() -> None:
    IgnoreRules(["a"] * MOST_PATTERNS)
    with pytest.raises(NotJudged, match="more than"):
        IgnoreRules(["a"] * (MOST_PATTERNS + 1))
    with pytest.raises(NotJudged, match="longer than"):
        IgnoreRules(["a" * (LONGEST_PATTERN + 1)])


def test_evaluation_ends_at_its_deadline() -> None:
    with pytest.raises(NotJudged, match="too long"):
        IgnoreRules(["*a*b"]).verdict(["x"], until=0.0)


@given(st.text(max_size=30), st.text(alphabet="ab/[]*", min_size=1, max_size=20))
@settings(max_examples=300, deadline=None)
def test_no_text_is_a_pattern_that_raises(pattern: str, path: str) -> None:
    assert IgnoreRules([pattern]).ignores(path) in {True, False}
