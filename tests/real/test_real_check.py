"""The check of a real instruct model without fill-in-the-middle tokens."""

from __future__ import annotations

from pathlib import Path

from infill.models import checked, checking, store


def test_smollm2_follows_instructions_and_its_control_tokens_and_template_are_right(smol: Path) -> None:
    found = checking.check("local:smol")
    assert found is not None
    assert found.order == "" and found.problems == ()
    assert found.instructions == 3 and found.followed >= 2
    assert 100_000_000 < found.memory < 2_000_000_000
    assert checked.result(store.locate("local:smol").path) == found
