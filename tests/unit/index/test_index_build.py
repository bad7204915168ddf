"""How an index is brought up to date, what never enters it, and what it survives."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tree_sitter", reason="the builder of the index needs tree-sitter")

from infill import state
from infill.index import builder, folders, queue
from infill.index.build import Limits, build
from infill.index.queue import Job
from infill.settings import Privacy

ROOMY = Limits(free=0)


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs but what closes files."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def names(workspace: Path) -> set[str]:
    """The symbols in the index."""
    connection = sqlite3.connect(folders.database(workspace))
    try:
        return {name for (name,) in connection.execute("SELECT name FROM symbols")}
    finally:
        connection.close()


def job(workspace: Path, **more: object) -> Job:
    return Job(folder=str(workspace), **more)  # type: ignore[arg-type]


def everything(workspace: Path) -> bytes:
    """All bytes that lie in the index's folder."""
    return b"".join(file.read_bytes() for file in sorted(folders.of(workspace).rglob("*")) if file.is_file())


def test_changed_files_are_read_again_and_those_that_are_gone_are_removed(workspace: Path) -> None:
    write(workspace, {"a.py": "def first(): pass\n", "b.py": "def second(): pass\n", "c/d.go": "package d\nfunc Third() {}\n"})
    said = build(job(workspace), limits=ROOMY)
    assert (said.state, said.files, names(workspace)) == ("ready", 3, {"first", "second", "Third"})
    (workspace / "b.py").unlink()
    write(workspace, {"a.py": "def fourth(): pass\n"})
    os.utime(workspace / "a.py", ns=(1, 1))
    assert build(job(workspace), limits=ROOMY).files == 2
    assert names(workspace) == {"fourth", "Third"}
    assert folders.read_status(workspace) is not None


def test_a_file_whose_content_is_as_it_was_is_not_parsed_again(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(workspace, {"a.py": "def first(): pass\n"})
    build(job(workspace), limits=ROOMY)
    monkeypatch.setattr("infill.index.build.outline", lambda text, language: pytest.fail("parsed again"))
    os.utime(workspace / "a.py", ns=(1, 1))
    assert build(job(workspace), limits=ROOMY).files == 1


@pytest.mark.parametrize(
    ("files", "privacy"),
    [
        ({".gitignore": "hidden/\n", "hidden/a.py": "def forbidden(): pass\n"}, Privacy()),
        ({".gitignore": "hid*\n!hidden/b.py\n", "hidden/b.py": "def forbidden(): pass\n"}, Privacy()),
        ({".infillignore": "*.lua\n", "a.lua": "function forbidden() end\n"}, Privacy()),
        ({"below/.infillignore": "a.go\n", "below/a.go": "package a\nfunc forbidden() {}\n"}, Privacy()),
        ({"a.py": "def forbidden(): pass\n"}, Privacy(exclude=["a.*"])),
        ({"deep/down/a.py": "def forbidden(): pass\n"}, Privacy(exclude=["deep/"])),
        ({"secrets/a.py": "def forbidden(): pass\n"}, Privacy()),
        ({".aws/a.py": "def forbidden(): pass\n"}, Privacy()),
        ({"a.py": "def forbidden(): pass\n" + "#" * 2048}, Privacy(max_file_kilobytes=1)),
        ({"node_modules/a/b.js": "function forbidden() {}\n"}, Privacy()),
        ({"a.py": "def forbidden(): pass\n\0"}, Privacy()),
    ],
)
def test_text_of_excluded_files_never_enters_the_index(workspace: Path, files: dict[str, str], privacy: Privacy) -> None:
    write(workspace, {**files, "kept.py": "def allowed(): pass\n"})
    build(job(workspace, privacy=privacy), limits=ROOMY)
    assert names(workspace) == {"allowed"}
    assert b"forbidden" not in everything(workspace)


def test_a_link_is_not_followed(workspace: Path, tmp_path: Path) -> None:
    write(tmp_path, {"elsewhere/a.py": "def forbidden(): pass\n"})
    try:
        (workspace / "a.py").symlink_to(tmp_path / "elsewhere" / "a.py")
        (workspace / "folder").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made on this system")
    assert build(job(workspace), limits=ROOMY).files == 0


def test_what_becomes_excluded_leaves_no_byte_behind(workspace: Path) -> None:
    write(workspace, {"a.py": "def forbidden(): return forbidden_helper()\n", "b.py": "def allowed(): pass\n"})
    build(job(workspace), limits=ROOMY)
    assert b"forbidden" in everything(workspace)
    write(workspace, {".infillignore": "a.py\n"})
    build(job(workspace), limits=ROOMY)
    assert names(workspace) == {"allowed"}
    assert b"forbidden" not in everything(workspace)


def test_secrets_in_signatures_and_documentation_are_masked(workspace: Path) -> None:
    key = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
    write(
        workspace, {"a.py": f'def login(token="{key}"):\n    """Uses {key}."""\n    key = "{key}"\n', "b.rb": f'def login(k)\n  k = "{key}"\nend\n'}
    )
    assert build(job(workspace), limits=ROOMY).files == 2
    assert names(workspace) == {"login"}
    found = everything(workspace)
    assert key.encode() not in found
    assert key.lower().replace("_", "").encode() not in found


@pytest.mark.parametrize("damage", [b"no database at all" * 500, b"SQLite format 3\0" + b"\xff" * 8000, b"\0" * 3])
def test_a_damaged_index_is_built_anew_and_says_so_once(workspace: Path, damage: bytes) -> None:
    write(workspace, {"a.py": "def first(): pass\n"})
    build(job(workspace), limits=ROOMY)
    for name in folders.of(workspace).glob("index.sqlite*"):
        name.unlink()
    folders.database(workspace).write_bytes(damage)
    said = build(job(workspace), limits=ROOMY)
    assert (said.state, said.files, names(workspace)) == ("ready", 1, {"first"})
    assert said.rebuilt or len(damage) < 100  # so short a file counts as an empty one
    assert not build(job(workspace), limits=ROOMY).rebuilt


def test_pages_that_are_damaged_in_the_middle_are_found(workspace: Path) -> None:
    write(workspace, {f"f{number}.py": f"def function_{number}(argument_{number}): pass\n" * 20 for number in range(40)})
    build(job(workspace), limits=ROOMY)
    file = folders.database(workspace)
    content = bytearray(file.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    file.write_bytes(content)
    write(workspace, {f"f{number}.py": "def changed(): pass\n" for number in range(40)})
    said = build(job(workspace), limits=ROOMY)
    assert (said.state, said.files, names(workspace)) == ("ready", 40, {"changed"})


def test_an_index_of_another_version_is_built_anew_without_a_word(workspace: Path) -> None:
    write(workspace, {"a.py": "def first(): pass\n"})
    build(job(workspace), limits=ROOMY)
    connection = sqlite3.connect(folders.database(workspace))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    said = build(job(workspace), limits=ROOMY)
    assert (said.state, said.rebuilt, names(workspace)) == ("ready", "", {"first"})


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(free=0, files=2), "more than 2 files"),
        (Limits(free=0, seconds=-1), "time was used up"),
        (Limits(free=2**62), "are free on the disk"),
        (Limits(free=0, bytes=80 * 1024), "its largest size"),
    ],
)
def test_limits_leave_an_index_that_says_what_is_missing(workspace: Path, limits: Limits, said: str) -> None:
    write(workspace, {f"f{number}.py": "".join(f"def function_{number}_{line}(): pass\n" for line in range(200)) for number in range(5)})
    found = build(job(workspace), limits=limits)
    assert found.state == "stopped"
    assert said in found.problem
    assert build(job(workspace), limits=ROOMY).state == "ready"


def test_a_builder_that_ends_in_the_middle_is_continued_and_the_file_that_ended_it_left_out(workspace: Path) -> None:
    write(workspace, {f"f{number}.py": f"def function_{number}(): pass\n" for number in range(5)})
    current = folders.of(workspace) / "current"

    def killed() -> None:
        if current.read_text("utf-8") == "f2.py":
            raise Killed

    with pytest.raises(Killed):
        build(job(workspace), killed, ROOMY)
    current.write_text("f2.py")  # as a killed process leaves it
    assert build(job(workspace), limits=ROOMY).state == "ready"
    assert names(workspace) == {f"function_{number}" for number in (0, 1, 3, 4)}
    write(workspace, {"f2.py": "def mended(): pass\n"})
    build(job(workspace), limits=ROOMY)
    assert "mended" in names(workspace)


def run_builder(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", queue.MODULE], env={**os.environ, "INFILL_HOME": str(home)})


def test_the_builder_indexes_what_waits_and_ends(workspace: Path, home: Path) -> None:
    write(workspace, {"a.py": "def first(): pass\n"})
    queue.put(job(workspace))
    queue.put(job(workspace / "no such folder"))
    assert run_builder(home).wait(120) == 0
    assert queue.first() is None
    assert names(workspace) == {"first"}


def test_what_waits_is_still_there_after_a_builder_was_killed(workspace: Path, home: Path) -> None:
    write(workspace, {"a.py": "def first(): pass\n"})
    queue.put(job(workspace))
    process = run_builder(home)
    process.kill()
    process.wait(60)
    queue.put(job(workspace))
    assert run_builder(home).wait(120) == 0
    assert (queue.first(), names(workspace)) == (None, {"first"})


def test_only_one_builder_works_at_a_time(workspace: Path, home: Path) -> None:
    write(workspace, {"a.py": "def first(): pass\n"})
    queue.put(job(workspace))
    with builder._alone() as alone:
        assert alone
        assert run_builder(home).wait(120) == 0  # ends at once
        assert queue.first() is not None


def test_a_wish_to_rebuild_is_not_lost_among_others(workspace: Path) -> None:
    queue.put(job(workspace, rebuild=True))
    queue.put(job(workspace))
    waiting = queue.first()
    assert waiting is not None
    assert waiting.rebuild
    queue.done(job(workspace))
    assert queue.first() == waiting
    queue.done(waiting)
    assert queue.first() is None


def test_a_damaged_wish_is_dropped(workspace: Path, home: Path) -> None:
    state.keep(folders.root() / "queue" / "0.json", b"{")
    queue.put(job(workspace))
    waiting = queue.first()
    assert waiting is not None
    assert waiting.folder == str(workspace)


def test_deleting_takes_the_index_and_what_waits(workspace: Path) -> None:
    write(workspace, {"a.py": "def first(): pass\n"})
    build(job(workspace), limits=ROOMY)
    queue.put(job(workspace))
    assert builder.delete(workspace)
    assert (queue.first(), folders.read_status(workspace), folders.of(workspace).exists()) == (None, None, False)
    assert not builder.delete(workspace)
