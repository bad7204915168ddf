"""Ignore patterns mean what git says that they mean, and take linear time whatever they are."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from infill.privacy.ignore_rules import LONGEST_PATTERN, MOST_PATTERNS, IgnoreRules, NotJudged, lines_of

SEGMENTS = st.sampled_from(["a", "b", "ab", "abc", "a.b", "-", "]", "!a", "#a", "a b"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(
    ["a", "b", "c", "*", "**", "?", "/", "/**/", ".", "[ab]", "[!a]", "[^a]", "[a-c]", "[]a]", "[[:alpha:]]", "-", "\\*", " ", "!"]
)
PATTERNS = st.lists(PIECES, min_size=1, max_size=6).map("".join)
CALM = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))

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
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    rules = IgnoreRules([pattern])
    rules.ignores("x")  # compiled
    began = time.thread_time()
    rules.ignores(path)
    assert time.thread_time() - began < 5, "exponential: linear time is milliseconds"


def test_ten_times_the_length_takes_about_ten_times_as_long() -> None:
    def seconds(length: int) -> float:
        rules = IgnoreRules(["*a" * 100 + "*b"])
        rules.ignores("x")
        best = 1e9
        for _ in range(5):
            began = time.thread_time()
            rules.ignores("a" * length)
            best = min(best, time.thread_time() - began)
        return best

    assert seconds(20_000) < 40 * max(seconds(2_000), 1e-5)


@CALM
@given(PATTERNS, PATHS)
@example("a/**", "a/b")
@example("**", "a")
@example("a/**/b", "a/b")
@example("/*", "a/b")
def test_one_pattern_means_what_pathspec_says(pattern: str, path: str) -> None:
    """pathspec differs from git in a few odd patterns, which the comparison with git itself covers."""
    if re.search(r"//|\[:|[ ]|\*\*\*|^!|[*][*][^/]|[^/][*][*]|^/*\**/*$|\*\*/$|\[\^|\[!", pattern):
        return
    try:
        theirs = GitIgnoreSpec.from_lines([pattern]).match_file(path)
    except ValueError:
        return
    assert IgnoreRules([pattern]).ignores(path) == theirs


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def _as_git_says(repository: Path, patterns: list[str], paths: list[str]) -> set[str]:
    (repository / ".gitignore").write_bytes("\n".join(patterns).encode())
    asked = "\0".join(paths).encode()
    command = ["git", "-c", "core.ignorecase=false", "-C", str(repository), "check-ignore", "--no-index", "-z", "--stdin"]
    return set(filter(None, subprocess.run(command, input=asked, capture_output=True, timeout=60).stdout.decode().split("\0")))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PATTERNS, min_size=1, max_size=4), st.lists(PATHS, min_size=5, max_size=25, unique=True))
@example(["[[:alpha:]]", "!b"], ["a", "b", "-"])
@example(["a//b", "a\\ ", "\\#a", "\\!a"], ["a/b", "a", "#a", "!a"])
def test_rules_mean_what_git_says(repository: Path, patterns: list[str], paths: list[str]) -> None:
    """The folders need not exist: every path is asked as a file."""
    if any(re.search(r"[^/][*][*]+/", pattern) for pattern in patterns):  # git lets `a**/b` match `ab`
        return
    rules = IgnoreRules(lines_of("\n".join(patterns)))
    assert {path for path in paths if rules.ignores(path)} == _as_git_says(repository, patterns, paths)


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
    rules = IgnoreRules(lines_of("# *\r\n\r\n*.log\r\n"))
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
