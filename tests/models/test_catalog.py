"""The catalogue: what ships is whole, what users add counts, what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_gguf import write_catalogue

from infill import paths
from infill.errors import UnknownModel
from infill.models import catalog

PROMISED = {
    *(f"qwen2.5-coder-{size}-{quantization}" for size in ("0.5b", "1.5b", "3b", "7b", "14b") for quantization in ("q4_k_m", "q8_0")),
    "qwen2.5-coder-1.5b-instruct-q4_k_m",
    "qwen2.5-coder-7b-instruct-q4_k_m",
    "qwen3-coder-30b-a3b-q4_k_m",
    "qwen3-8b-q4_k_m",
    "mellum-4b-q8_0",
}


def test_the_shipped_catalogue_is_valid_and_has_what_it_promises(home: Path) -> None:
    known = catalog.load()
    assert known.problems == ()
    assert known.entries.keys() >= PROMISED
    for entry in known.entries.values():
        assert entry.licence_url.startswith("https://")
        assert entry.quantization in entry.id
        assert catalog.expected(entry) is not None
        assert entry.fim_order or "complete" not in entry.roles


def test_models_that_are_not_for_commercial_use_say_so(home: Path) -> None:
    entries = catalog.load().entries
    assert {entry.id for entry in entries.values() if not entry.commercial} == {"qwen2.5-coder-3b-q4_k_m", "qwen2.5-coder-3b-q8_0"}
    assert not any("complete" in entry.roles for entry in entries.values() if entry.family == "qwen3")


def test_users_add_models_and_replace_shipped_ones(home: Path) -> None:
    write_catalogue(
        'id = "mine"\nsource = "me/mine-GGUF:Q5_K_M"',
        'id = "file"\npath = "~/models/x.gguf"\ntitle = "X"',
        'id = "mellum-4b-q8_0"\nsource = "other/mellum:m.gguf"',
    )
    entries = catalog.load().entries
    assert (entries["mine"].repository, entries["mine"].files[0].name) == ("me/mine-GGUF", "*Q5_K_M*.gguf")
    assert (entries["file"].path, entries["file"].title) == ("~/models/x.gguf", "X")
    assert entries["mellum-4b-q8_0"].repository == "other/mellum"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param('title = "no id"', "missing required field `id`", id="no id"),
        pytest.param('id = "Bad Id"\nsource = "a/b:c"', "matching regex", id="odd id"),
        pytest.param('id = "x"', "either `path`", id="from nowhere"),
        pytest.param('id = "x"\npath = "/x"\nsource = "a/b:c"', "either `path`", id="from two places"),
        pytest.param('id = "x"\nsource = "a/b:c"\nroles = ["dance"]', "$.roles[0]", id="unknown role"),
        pytest.param('id = "x"\nsource = "a/b:c"\nsise = 3', "unknown field `sise`", id="misspelt"),
        pytest.param('id = "x"\nrepository = "a/b"\nfiles = [{ name = "c", sha256 = "12" }]', "$.files[0].sha256", id="short hash"),
    ],
)
def test_a_wrong_entry_is_named_and_the_others_stay(home: Path, entry: str, says: str) -> None:
    file = write_catalogue('id = "good"\nsource = "a/b:c.gguf"', entry)
    known = catalog.load()
    assert "good" in known.entries
    assert len(known.problems) == 1
    assert says in known.problems[0]
    assert f"{file}, model 2" in known.problems[0]


def test_a_file_that_is_no_toml_is_named_and_the_shipped_models_stay(home: Path) -> None:
    write_catalogue().write_text("this is [not toml")
    known = catalog.load()
    assert "cannot be read" in known.problems[0]
    assert known.entries.keys() >= PROMISED


def test_single_brackets_are_explained(home: Path) -> None:
    write_catalogue().write_text('[model]\nid = "x"\n')
    assert "double brackets" in catalog.load().problems[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("maker/Some-7B-GGUF:Q4_K_M", ("some-7b-q4_k_m", "maker/Some-7B-GGUF", "*Q4_K_M*.gguf", "q4_k_m")),
        ("maker/repo:Some-7B.Q8_0.gguf", ("some-7b.q8_0", "maker/repo", "Some-7B.Q8_0.gguf", "q8_0")),
        ("https://huggingface.co/maker/repo:deep/x-IQ4_XS.gguf", ("x-iq4_xs", "maker/repo", "deep/x-IQ4_XS.gguf", "iq4_xs")),
    ],
)
def test_any_file_of_the_hub_can_be_named(home: Path, name: str, expected: tuple[str, ...]) -> None:
    entry = catalog.find(name)
    assert (entry.id, entry.repository, entry.files[0].name, entry.quantization) == expected


def test_an_id_is_found_with_and_without_its_provider(home: Path) -> None:
    assert catalog.find("local:mellum-4b-q8_0") == catalog.find("mellum-4b-q8_0")
    with pytest.raises(UnknownModel):
        catalog.find("no such model")


def test_no_file_is_called_as_the_bundled_model_is() -> None:
    assert catalog.make_id("bundled.gguf") == "bundled-file"
    assert catalog.make_id("Some Model (7B)-00001-of-00002.gguf") == "some-model-7b"


def test_the_catalogue_lies_where_the_program_looks(home: Path) -> None:
    assert paths.catalogue().name == "models.toml"
    assert paths.catalogue().is_file()
