"""The benchmark of accepted suggestions, on a small corpus of its own: what it cuts, what it answers, and what it judges."""

from __future__ import annotations

from pathlib import Path

import pytest

from infill import paths
from infill.bench import acceptance, packages, raw_answers
from infill.bench.corpus import corpus
from infill.bench.places import AUTO_CLOSED, KINDS, Place, places
from infill.bench.syntax import Unreadable, read
from infill.bench.verdict import verdict
from infill.errors import InfillError

FILES = (Path(__file__).parent / "corpus", paths.sample_sources())
CURSOR, END = "█", "▌"


def place(text: str, language: str = "python", closers: str = "") -> Place:
    """A file with the cursor, and where the author's part ends; `closers` stand right of the cursor and are not part of the file yet."""
    cursor, until = text.index(CURSOR), text.index(END) - 1
    whole = text.replace(CURSOR, "").replace(END, "")
    return Place(language=language, kind="bracket", path="a", syntax=read(whole, language), cursor=cursor, until=until, closers=closers)


@pytest.fixture(scope="module")
def cut() -> list[Place]:
    return [one for language, files in corpus(FILES, 1).items() for one in places(language, files, 3, 1)]


# ---- reading and cutting


def test_every_file_of_the_small_corpus_is_read() -> None:
    assert sum(len(files) for files in corpus(FILES, 1).values()) == sum(len(list(folder.iterdir())) for folder in FILES) >= 12


def pairs(text: str, language: str) -> set[tuple[str, str]]:
    return {(pair.kind, text[pair.open : pair.end]) for pair in read(text, language).pairs}


def test_pairs_in_templates_and_strings_are_told_apart() -> None:
    found = pairs('x = `a ${f("(")} )`; y = "]"; // (\n', "javascript")
    assert found == {("quote", '`a ${f("(")} )`'), ("interpolation", '{f("(")}'), ("bracket", '("(")'), ("quote", '"("'), ("quote", '"]"')}


def test_a_tag_and_a_comment_with_a_closer_are_pairs() -> None:
    assert ("tag", "<p>text</p>") in pairs("<p>text</p>\n", "html")
    assert ("comment", "/* text */") in pairs("/* text */\n", "c")


def test_a_file_with_a_lonely_bracket_is_not_used() -> None:
    with pytest.raises(Unreadable):
        read("x = (1\n", "python")


def test_every_place_can_be_put_together_again(cut: list[Place]) -> None:
    assert all(one.left + one.written + one.right[len(one.closers) :] == one.syntax.text for one in cut)


def test_every_kind_of_place_is_found_and_the_same_seed_finds_the_same(cut: list[Place]) -> None:
    assert {one.kind for one in cut} == set(KINDS)
    again = [(one.path, one.cursor) for language, files in corpus(FILES, 1).items() for one in places(language, files, 3, 1)]
    assert again == [(one.path, one.cursor) for one in cut]


def test_an_auto_closed_pair_has_its_closers_right_of_the_cursor(cut: list[Place]) -> None:
    closed = [one for one in cut if one.kind in AUTO_CLOSED]
    assert closed and all(one.closers and one.right.startswith(one.closers) for one in closed)


# ---- answers


def test_a_perfect_model_ends_before_the_closer_that_is_there() -> None:
    assert raw_answers.perfect(place("foo(█a, b)▌\n", closers=")"), "foo(") == "a, b"
    assert raw_answers.perfect(place("foo(█a, b);▌\n", "c", closers=")"), "foo(") == "a, b);"


def test_a_perfect_model_writes_the_indentation_that_the_prompt_left_out() -> None:
    one = place("if x:\n    █foo()▌\nbar()\n")
    assert raw_answers.perfect(one, "if x:\n") == "    foo()"
    assert raw_answers.perfect(one, "if x:\n    ") == "foo()"


def test_answers_come_in_the_forms_that_models_write() -> None:
    one = place("if x:\n    foo(█a,\n        b)▌\n    bar()\n    baz()\n    done()\nend()\n", closers=")")
    forms = raw_answers.variants(one, "if x:\n    foo(")
    assert forms["leading space"] == " a,\n        b"
    assert forms["repeated closers"] == "a,\n        b)"
    assert forms["running on into the suffix"] == "a,\n        b)\n    bar()\n    baz()\n    done()"
    assert forms["line repeated from its start"] == "foo(a,\n        b"
    assert forms["CR LF"] == "a,\r\n        b"
    assert "first line without indentation" not in forms


# ---- judging


@pytest.mark.parametrize(
    ("text", "closers", "suggestion", "replaces", "expected"),
    [
        ("foo(█a, b)▌\n", ")", "a, b", 0, "restored"),
        ("foo(█a, b)▌\n", ")", "a, b)", 1, "restored"),
        ("foo(█a, b)▌\n", ")", "a, ", 0, "beginning"),
        ("foo(█a, b)▌\n", ")", "a, b)", 0, "doubled"),
        ("foo(█a, b)▌\n", ")", "a, ", 1, "lost"),
        ('x = ["█a", "b"]▌\n', '"]', 'a", "b', 0, "restored"),
        ('x = ["█a", "b"]▌\n', '"]', 'a", "b', 1, "lost"),
        ('x = ["█a", "b"]▌\n', '"]', 'a", "b"', 1, "restored"),
        ("foo(█alpha)▌\n", ")", "alp", 0, "cut"),
        ("x = █0.001▌\n", "", "0.", 0, "cut"),
        ("x = █0.001▌\n", "", " 0.001", 0, "other"),
        ("x = █foo()▌\nbar()\n", "", "foo()\nbar()", 0, "other"),
        ("x = {█\n    1: 2,\n    3: 4,\n}▌\n", "}", "\n    1: 2,", 0, "glued"),
        ("x = {█\n    1: 2,\n    3: 4,\n}▌\n", "}", "\n    1: 2,\n", 0, "beginning"),
        ("x = {█\n    1: 2,\n    3: 4,\n}▌\n", "}", "\n    1: 2,\n    3: 4,\n", 0, "restored"),
    ],
)
def test_what_is_in_the_buffer_is_compared_with_the_file(text: str, closers: str, suggestion: str, replaces: int, expected: str) -> None:
    assert verdict(place(text, closers=closers), suggestion, replaces) == expected


# ---- the whole


async def test_every_place_is_asked_for_in_both_ways_and_counted_once(cut: list[Place]) -> None:
    some = cut[::7]
    found = await acceptance.trials(some, 1)
    plain = [trial for trial in found if trial.variant == "as the author wrote it"]
    both, three = ("typing", "by key"), ("typing", "line by line", "by key")
    assert [(trial.path, trial.mode) for trial in plain] == [(one.path, mode) for one in some for mode in (three if "\n" in one.written else both)]
    table = acceptance.shares(found, lambda trial: trial.language)
    assert sum(share.requests for share in table) == len(found)
    assert all(share.restored + share.beginning + share.wrong == share.shown <= share.requests for share in table)
    assert next(row.what for row in acceptance.rows(found)) == "exact, of what is shown"


async def test_the_same_seed_gives_the_same_figures(cut: list[Place]) -> None:
    assert await acceptance.trials(cut[:4], 1) == await acceptance.trials(cut[:4], 1)


async def test_a_corpus_without_source_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InfillError, match="no usable source file"):
        await acceptance.measure(corpus([tmp_path], 1), 1, 1, lambda _: None)


def test_a_client_that_is_not_installed_leaves_its_packages_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    said: list[str] = []
    assert packages.fetched(said.append) == []
    assert [line for line in said if "cargo is not installed" in line]


def test_archives_are_unpacked_below_their_folder_only(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.whl", "w") as packed:
        packed.writestr("pkg/a.py", "x = 1\n")
        packed.writestr("../outside.py", "x = 1\n")
        packed.writestr("pkg/picture.png", "x")
    packages._unpack(tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()] == ["a/pkg/a.py"]
    assert not (tmp_path.parent / "outside.py").exists()
