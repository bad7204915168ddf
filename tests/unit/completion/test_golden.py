"""The golden cases: what is asked and what is offered, as data. Adding a case to tests/golden/*.toml needs no code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest_completion import at

from infill.ask import Delta, Finish
from infill.completion import postprocess, prompt, trigger
from infill.completion.answer import Answer
from infill.completion.place import place_of
from infill.completion.trace import why_dropped, why_nothing
from infill.completion.types import Indentation
from infill.providers.base import Limits
from infill.settings import resolve

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOLDEN = Path(__file__).parents[2] / "golden"


def cases(file: str) -> list[Any]:
    found = tomllib.loads((GOLDEN / file).read_text("utf-8"))["case"]
    return [pytest.param(case, id=case["name"].replace(" ", "-")) for case in found]


@pytest.mark.parametrize("case", [*cases("postprocess.toml"), *cases("foreign.toml"), *cases("columns.toml")])
def test_offered(case: dict[str, Any]) -> None:
    spaces = case.get("spaces")
    declared = Indentation(tabs=None if spaces is None else not spaces, step=case.get("step", 0), tab=case.get("tab_size", 0))
    request = at(case["document"], language=case.get("language", "python"), indentation=declared)
    answer = Answer(place_of(request))
    answer.apply(Delta(case["answer"]))
    answer.apply(Finish(why=case.get("finish", "end")))
    answer.close()
    typed = case.get("typed", "")
    rest = answer.rest(typed)
    now = place_of(msgspec.structs.replace(request, prefix=request.prefix + typed))
    shown = postprocess.at_cursor(rest[0].text if rest else "", now)
    if "nothing" in case:
        assert shown.text == ""
        assert (why_dropped(shown.steps) or why_nothing(answer)) == case["nothing"]
    else:
        assert (shown.text, shown.replaces) == (case["offer"], case.get("replaces", 0))


@pytest.mark.parametrize("case", cases("trigger.toml"))
def test_refused(case: dict[str, Any]) -> None:
    more = {name: case[name] for name in ("automatic", "disabled", "selected") if name in case}
    settings, problems = resolve(case.get("settings"))
    assert not problems
    assert trigger.refuses(at(case["document"], language=case.get("language", "python"), **more), settings) == case.get("refused", "")


@pytest.mark.parametrize("case", cases("windows.toml"))
def test_sent(case: dict[str, Any]) -> None:
    lines = [f"{number:<{case.get('width', 40) - 1}}" for number in range(case["lines"])]
    above, below = "\n".join(lines[: case["cursor"] + 1]), "".join(f"\n{line}" for line in lines[case["cursor"] + 1 :])
    limits = Limits(prefix_tokens=case["before"], suffix_tokens=case["after"], chars_per_token=1)
    prefix, suffix = prompt.windows(above, below, limits)
    first = above[: len(above) - len(prefix)].count("\n")
    last = case["cursor"] + suffix.count("\n")
    assert (first, last) == (case["first"], case["last"])
