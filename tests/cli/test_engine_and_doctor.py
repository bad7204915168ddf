"""`infill engine` and `infill doctor`: facts about what runs here, and what to do."""

from __future__ import annotations

import pytest
from commands import Shell


def test_asking_for_the_status_starts_nothing(fresh: Shell) -> None:
    assert fresh.run("engine", "status", "--json").facts == {"running": False}
    assert "No engine is running" in fresh.run("engine", "status").out
    assert fresh.run("engine", "status", "--json").facts == {"running": False}


def test_the_engine_is_started_shown_and_stopped(shell: Shell) -> None:
    started = shell.run("engine", "start", "--json").facts
    again = shell.run("engine", "start", "--json").facts
    seen = shell.run("engine", "status", "--json").facts
    assert started["running"]
    assert started["pid"] == again["pid"] == seen["pid"]
    assert [model["model"] for model in seen["models"]] == ["local:bundled"]
    assert seen["resident_bytes"] > 10_000_000
    assert seen["clients"] == []
    assert f"pid {seen['pid']}" in shell.run("engine", "status").out
    assert shell.run("engine", "stop", "--json").facts == {"running": False, "stopped": seen["pid"]}
    assert shell.run("engine", "status", "--json").facts == {"running": False}


def test_stopping_what_does_not_run_is_no_failure(fresh: Shell) -> None:
    ran = fresh.run("engine", "stop")
    assert (ran.code, ran.out) == (0, "No engine is running.\n")


def test_the_doctor_finds_everything_and_starts_nothing(fresh: Shell) -> None:
    ran = fresh.run("doctor", "--json")
    about = {finding["about"]: finding for finding in ran.facts["findings"]}
    assert ran.code == 0
    assert {"Python", "llama.cpp", "machine", "model", "fit", "engine", "settings", "disk"} <= set(about)
    assert {finding["verdict"] for finding in about.values()} <= {"ok", "warning"}
    assert about["model"]["verdict"] == "warning"
    assert "infill models" in about["model"]["next"]
    assert {made.name for made in fresh.home.iterdir()} <= {"cache"}


def test_the_doctor_names_a_wrong_setting_and_where_it_stands(fresh: Shell) -> None:
    (fresh.home / "config").mkdir(parents=True)
    file = fresh.home / "config" / "settings.toml"
    file.write_text("[completion]\nmaxTokens = 'many'\n")
    wrong = [one for one in fresh.run("doctor", "--json").facts["findings"] if one["about"] == "settings"]
    assert wrong[0]["verdict"] == "warning"
    assert "maxTokens" in wrong[0]["detail"]
    assert str(file) in wrong[0]["next"]


def test_the_doctor_calls_a_home_that_cannot_be_used_a_problem(fresh: Shell) -> None:
    fresh.home.write_text("a file stands where the folder should be")
    ran = fresh.run("doctor", "--json")
    problems = [finding for finding in ran.facts["findings"] if finding["verdict"] == "problem"]
    assert ran.code == 1
    assert any("INFILL_HOME" in finding["next"] for finding in problems)


@pytest.mark.parametrize("words", [["engine", "start"], ["complete", "here.py:1:1"]], ids=" ".join)
def test_a_home_that_cannot_be_used_is_said_in_a_sentence(shell: Shell, words: list[str]) -> None:
    (shell.folder / "file").write_text("a file stands where the folder should be")
    (shell.folder / "here.py").write_text("import \n")
    ran = Shell(shell.folder / "file", shell.folder).run(*words)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("infill: ")
    assert "Traceback" not in ran.err
