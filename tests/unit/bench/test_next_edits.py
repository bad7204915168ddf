"""The scenarios of next edits: exact where something is expected, silent where nothing is; and how a git history is replayed."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from infill.bench import next_edits, replay, scenarios
from infill.bench.next_edits import Player, played, scores
from infill.bench.scenarios import Scenario, ScenarioError, parse

ALL = scenarios.load()
WORDS = [
    "def f(a, b):",
    "    return a",
    "x = f(1, 2)",
    "a.b = c",
    "",
    "if a:",
    "    b = a",
    "}",
    "{ a: 1, b: 2 }",
    "for a in b:",
    "# a",
    '"a"',
    "import a",
]


@pytest.mark.parametrize("eagerness", next_edits.EAGERNESS[1:])
@pytest.mark.parametrize("scenario", ALL, ids=[one.name for one in ALL])
def test_a_scenario_gets_the_edits_that_it_expects_and_no_others(scenario: Scenario, eagerness: next_edits.Eagerness) -> None:
    result = played(scenario, eagerness)
    assert result.exact, "\n".join(result.diff)
    assert not result.harmful


@pytest.mark.parametrize("scenario", [one for one in ALL if one.quiet], ids=[one.name for one in ALL if one.quiet])
def test_with_low_eagerness_the_quiet_scenarios_are_quiet_too(scenario: Scenario) -> None:
    assert played(scenario, "low").shown == 0


def test_there_are_scenarios_of_each_language_and_enough_quiet_ones() -> None:
    assert {one.language for one in ALL} == {"python", "typescript", "go", "rust", "c", "java", "markdown"}
    assert len(ALL) >= 60
    assert sum(one.quiet for one in ALL) >= 20


def test_the_scores_count_what_was_right_and_what_was_shown() -> None:
    results = [played(one) for one in ALL]
    found = scores(results)
    assert found.scenarios == len(ALL)
    assert (found.exact, found.harmful, found.show_rate, found.quiet_rate) == (1.0, 0.0, 1.0, 1.0)
    assert found.keys > 0


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("language: c\nkind: x\n== before\na\n== unknown\n", "no section"),
        ("language: c\nkind: x\n== before\na\n", "expect something"),
        ("kind: x\n== before\na\n== quiet\n", "language"),
        ("language: c\nkind: x\n== before\na\n== edit\n?a\n== quiet\n", "neither"),
    ],
)
def test_a_scenario_that_cannot_be_read_is_named(text: str, wrong: str) -> None:
    with pytest.raises(ScenarioError, match=wrong):
        parse(text, "broken")


@pytest.mark.parametrize("seed", range(3))
def test_random_edits_crash_nothing_and_no_suggestion_is_for_another_text(seed: int) -> None:
    assert random_edits(seed, 150) == 150


def random_edits(seed: int, count: int) -> int:
    """Edit a text at random, and accept what is suggested now and then. By hand: `random_edits(1, 100_000)`."""
    dice = random.Random(seed)
    languages = ["python", "typescript", "go", "rust", "c", "java", "markdown", "unknown"]
    player = Player([dice.choice(WORDS) for _ in range(20)], "python", "high")
    for number in range(count):
        if number % 200 == 0:
            player = Player([dice.choice(WORDS) for _ in range(20)], dice.choice(languages), "high")
        first = dice.randrange(len(player.lines))
        end = min(len(player.lines), first + dice.randrange(3))
        new = [_mutated(line, dice) for line in player.lines[first:end]] if dice.random() < 0.7 else [dice.choice(WORDS)]
        if len(player.lines) - (end - first) + len(new):
            player.replace(first, end, new, bulk=dice.random() < 0.1)
        suggestion = player.suggestion()
        if suggestion is not None:
            assert 0 <= suggestion.line <= len(player.lines)
            for change in [*suggestion.rest, *filter(None, [suggestion.change])]:
                assert 0 <= change.first <= change.end <= len(player.lines)
                assert tuple(player.lines[change.first : change.end]) != change.new
            if dice.random() < 0.5:
                player.accept(suggestion)
    return count


def _mutated(line: str, dice: random.Random) -> str:
    old, new = dice.choice([("a", "renamed"), ("b", "other"), ("f", "g"), ("(", "(c, "), (" ", "  "), ("1", "2"), (", b", "")])
    return line.replace(old, new, 1)


def _commit(folder: Path, text: str) -> None:
    (folder / "a.py").write_text(text)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "add", "-A"], check=True, capture_output=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True, capture_output=True)


def test_a_replayed_commit_counts_a_suggestion_that_it_has_too_and_one_that_it_has_not(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, capture_output=True)
    text = "def total(items, rate):\n    s = 0\n    t = 1\n    u = s * rate\n    v = 3\n    print(rate)\n    return u\n"
    _commit(tmp_path, text)
    _commit(tmp_path, text.replace("rate):", "tax):").replace("s * rate", "s * tax").replace("print(rate)", "print(0)"))
    found = replay.replay(tmp_path, 5)
    assert (found.commits, found.files) == (1, 1), "a commit that only adds files has nothing to replay"
    assert [(case.source, case.hit) for case in found.cases] == [("rename", True), ("rename", False)]


def test_the_halves_of_a_history_share_no_commit(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, capture_output=True)
    lines = [f"x{number} = {number}" for number in range(9)]
    for number in range(4):
        lines[0], lines[4] = f"a = {number}", f"b = {number}"
        _commit(tmp_path, "\n".join(lines))
    halves = [replay.replay(tmp_path, 9, half=half) for half in ("all", "even", "odd")]
    assert [one.commits for one in halves] == [3, 2, 1]
    assert halves[0].edits == halves[1].edits + halves[2].edits == 6


def test_a_folder_without_a_history_is_named(tmp_path: Path) -> None:
    with pytest.raises(replay.InfillError, match="git could not read"):
        replay.replay(tmp_path / "none", 1)
