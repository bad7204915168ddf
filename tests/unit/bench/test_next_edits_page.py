"""The HTML page of `infill bench edits`."""

from __future__ import annotations

import html
import re

import msgspec

from infill.bench import next_edits, scenarios
from infill.bench.next_edits_page import page


def test_the_page_draws_every_scenario_with_what_was_done_and_suggested_and_wrong_ones_first() -> None:
    played = scenarios.load()
    results = [next_edits.played(one) for one in played]
    results[-1] = msgspec.structs.replace(results[-1], exact=False)
    text = page(played, results)
    names = re.findall(r"<h2>([^:]+):", text)
    assert sorted(names) == sorted(one.name for one in played)
    assert names[0] == played[-1].name
    for one in results:
        assert all(html.escape(line) in text for line in one.diff)


def test_code_on_the_page_is_text_and_no_markup() -> None:
    played = scenarios.load()[:1]
    hostile = msgspec.structs.replace(next_edits.played(played[0]), diff=("+<script>alert(1)</script>",))
    text = page(played, [hostile])
    assert "<script>" not in text
    assert "<span class='new'>+&lt;script&gt;" in text
