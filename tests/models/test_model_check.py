"""`infill models check`: what a model does when it is used, for the bundled model and for files with one fault each. Real processes throughout."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import broken_gguf
import pytest
from small_gguf import small_gguf

from infill.engine import check_cases
from infill.errors import ModelError
from infill.models import checked, checking, importing, listing, store
from infill.models.checked import Checked
from infill.settings import Settings

CATALOGUE = '[[model]]\nid = "{id}"\ntitle = "{title}"\npath = "{path}"\nlanguages = ["python"]\n'


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for all checks: the self-test of llama.cpp's kernels runs once."""
    folder = tmp_path_factory.mktemp("checks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INFILL_HOME", str(folder / "home"))
        patch.setenv("HF_HOME", str(folder))
        patch.setenv("OLLAMA_MODELS", str(folder))
        yield folder


def added(folder: Path, kind: str, *, title: str = "A model") -> str:
    """A file with that fault, in the user's own catalogue as a model for Python."""
    name = kind.replace(" ", "-")
    file = broken_gguf.write(kind, folder / f"{name}.gguf")
    catalogue = folder / "home" / "config" / "models.toml"
    catalogue.parent.mkdir(parents=True, exist_ok=True)
    with catalogue.open("a") as stream:
        stream.write(CATALOGUE.format(id=name, title=title, path=file.as_posix()))
    return f"local:{name}"


def check(model: str) -> Checked:
    found = checking.check(model)
    assert found is not None
    return found


def test_the_bundled_model_passes_its_check_and_lists_show_the_result(shared_home: Path) -> None:
    found = check("local:bundled")
    assert found.problems == ()
    assert found.holes == 12 and found.filled >= 1
    assert found.order == "spm"
    assert found.instructions == 0
    assert found.memory > 10_000_000
    choice = next(choice for choice in listing.listing(Settings()).choices if choice.id == "local:bundled")
    assert choice.checked.startswith(f"{found.filled} of 12, suffix first")
    assert choice.problems == ()


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("wrong order", "The file says prefix first, but the model fills in better suffix first."),
        ("exchanged", "suffix and middle tokens seem to be exchanged"),
        ("without end", "None of its answers ended by itself"),
        ("raising template", "The chat template of raising-template.gguf cannot be used: no roles"),
        ("pretender", "It followed no instruction"),
        ("unknown marks", "The vocabulary has no token for <|user_turn|>"),
    ],
)
def test_a_file_with_a_fault_is_told_from_a_good_one_and_warned_of_before_it_is_chosen(shared_home: Path, kind: str, problem: str) -> None:
    model = added(shared_home, kind)
    found = check(model)
    assert any(problem in said for said in found.problems), found
    assert problem in checking.warning(model)
    choice = next(choice for choice in listing.listing(Settings()).choices if choice.id == model)
    assert choice.checked.endswith("(problem)") and choice.problems == found.problems


def test_a_base_model_with_the_name_of_an_instruct_model_is_found_out(shared_home: Path) -> None:
    broken_gguf.write("whole", shared_home / "whole.gguf")
    found = check(added(shared_home, "whole", title="Tiny 6M Instruct"))
    assert found.problems == ("Its name says that it follows instructions, but the file has no chat template.",)


def test_where_a_file_names_no_order_the_one_that_fills_in_is_found_and_used(shared_home: Path) -> None:
    model = added(shared_home, "without order")
    assert store.locate(model).fim_order == ""
    found = check(model)
    assert found.order == "spm" and not found.problems
    assert store.locate(model).fim_order == "spm"


def test_a_damaged_result_and_one_of_another_file_count_as_absent(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(small_gguf())
    result = Checked(holes=12, filled=11, order="psm", tokens_per_second=34.2)
    assert checked.result(file) is None
    checked.keep(file, result)
    assert checked.result(file) == result
    assert result.sentence == "11 of 12, prefix first, 34 tokens/s"
    kept = next((home / "state" / "checks").glob("*.json"))
    for damage in (b"", b"{}", b'{"holes": -1, "filled": 1}', b"\xff\xfe", kept.read_bytes()[:-9]):
        kept.write_bytes(damage)
        assert checked.result(file) is None
    checked.keep(file, result)
    os.utime(file, (1, 1))
    assert checked.result(file) is None


def test_a_check_is_cancelled_by_its_caller_by_another_process_and_by_removing_the_file(shared_home: Path) -> None:
    model = "local:bundled"
    path = store.locate(model).path
    before = checked.result(path)
    assert checking.check(model, cancelled=lambda: True) is None
    asked = threading.Event()

    def progress(share: float, what: str) -> None:
        if not asked.is_set():
            asked.set()
            checking.stop(model)

    assert checking.check(model, progress=progress) is None
    assert asked.is_set()
    assert checked.result(path) == before


def test_a_model_that_generates_no_text_is_not_checked(home: Path, tmp_path: Path) -> None:
    (tmp_path / "vectors.gguf").write_bytes(small_gguf(**{"qwen2.pooling_type": 3}))
    manifest = importing.import_file(tmp_path / "vectors.gguf")
    assert manifest is not None and not checking.is_due(manifest.full_id)
    with pytest.raises(ModelError, match="embedding or reranking"):
        checking.check(manifest.full_id)


def test_a_model_that_has_arrived_is_checked_once_in_the_background(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(checking, "_start_detached", started.append)
    (tmp_path / "m.gguf").write_bytes(small_gguf())
    manifest = importing.import_file(tmp_path / "m.gguf")
    assert manifest is not None
    assert not checking.begin(manifest.full_id)  # switched off for all tests
    monkeypatch.setenv("INFILL_CHECK", "on")
    assert checking.begin(manifest.full_id)
    assert started[0][-4:] == ["models", "check", manifest.full_id, "--background"]
    checked.keep(manifest.path, Checked(holes=12, filled=12))
    assert not checking.begin(manifest.full_id)
    assert not checking.begin("local:nosuch")


@pytest.mark.parametrize("languages", [(), ("python",), ("go", "rust"), ("cobol",), ("java", "python")])
def test_there_are_twelve_different_holes_for_any_languages(languages: tuple[str, ...]) -> None:
    chosen = check_cases.holes(languages)
    assert len(chosen) == check_cases.HOLES == len({hole.text for hole in chosen})
    own = [hole.language for hole in chosen if not languages or hole.language in languages]
    assert own == [hole.language for hole in chosen][: len(own)]
    assert all(hole.text.count(check_cases.CURSOR) == 1 and hole.is_filled_by(hole.answers[0] + "\nmore") for hole in chosen)
