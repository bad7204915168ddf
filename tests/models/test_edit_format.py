"""Next-edit models: recognized by metadata and vocabulary, offered by the catalogue, chosen for their role, refused with a sentence elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from test_fit import machine
from test_recommend import CARD, LAPTOP, SLOW, best

from infill.edits.formats import FORMATS
from infill.errors import ModelError
from infill.models import catalog, listing, store
from infill.models.edit_format import CONTROLS, KNOWN, EditFormat, recognized
from infill.models.recommend import Speeds

QWEN, SEED = CONTROLS["sweep"], CONTROLS["zeta2"]


@pytest.mark.parametrize(
    ("named", "names", "controls", "expected"),
    [
        ("", ["Sweep Next Edit 0.5B"], QWEN, "sweep"),
        ("", ["", "sweep-next-edit"], QWEN, "sweep"),
        ("", ["Zeta 2"], SEED, "zeta2"),
        ("", ["zeta-2.1"], SEED, "zeta2.1"),
        ("sweep-card", ["anything"], QWEN, "sweep-card"),
        ("", ["Qwen2.5 Coder 0.5B"], QWEN, ""),
        ("", ["Sweep Next Edit 0.5B"], (), ""),
        ("", ["Zeta 2"], QWEN, ""),
        ("", ["Zeta 2.5"], SEED, ""),
        ("", ["Zeta 20"], SEED, ""),
        ("no such format", [], KNOWN, ""),
    ],
)
def test_metadata_and_vocabulary_have_to_agree(named: str, names: list[str], controls: tuple[str, ...], expected: str) -> None:
    assert recognized(named, names, controls) == expected


def test_the_formats_of_files_are_those_that_prompts_are_made_for() -> None:
    assert set(get_args(EditFormat)) == set(FORMATS)
    assert {name: tuple(FORMATS[name].controls) for name in CONTROLS} == dict(CONTROLS)


def test_the_catalogue_has_next_edit_models_for_laptops_and_graphics_cards() -> None:
    found = {entry.id: entry for entry in catalog.load().entries.values() if "edit" in entry.roles}
    assert {"sweep-next-edit-0.5b-q8_0", "sweep-next-edit-1.5b-q8_0", "zeta-2-q4_k_m", "zeta-2.1-q8_0"} <= set(found)
    assert all(entry.edit_format and entry.roles == ("edit",) for entry in found.values())


def test_what_suggests_next_edits_is_not_offered_for_completions() -> None:
    facts = catalog.expected(catalog.find("sweep-next-edit-0.5b-q8_0"))
    assert facts is not None and store.roles_of(facts) == ("edit",)


@pytest.mark.parametrize(
    ("memory", "free", "cards", "speeds", "expected"),
    [
        (4, 2.4, [], SLOW, "sweep-next-edit-0.5b-q8_0"),
        (16, 10, [], LAPTOP, "sweep-next-edit-0.5b-q8_0"),
        (32, 24, [(25.7, 24.5)], CARD, "zeta-2.1-q8_0"),
    ],
)
def test_each_machine_is_recommended_a_next_edit_model_that_is_quick_enough(
    home: Path, memory: float, free: float, cards: list[tuple[float, float]], speeds: Speeds, expected: str
) -> None:
    assert best(machine(memory, free, gpus=cards), speeds, "edit").id == f"local:{expected}"


def test_a_base_model_is_refused_for_next_edits_with_a_sentence(home: Path) -> None:
    with pytest.raises(ModelError, match="not a next-edit model") as refused:
        listing.use("local:bundled", "edit")
    assert "recommend --role edit" in refused.value.hint
