"""Indentation, whatever the author's style and the model's: what the author wrote is what is offered."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest
from conftest_completion import at
from hypothesis import given
from hypothesis import strategies as st

from infill.ask import Delta, Finish, Stop
from infill.completion import postprocess
from infill.completion.answer import Answer
from infill.completion.place import place_of
from infill.completion.prompt import build
from infill.completion.types import CompletionRequest, Indentation
from infill.providers.base import Limits
from infill.providers.cut import Cutter
from infill.providers.families import table
from infill.settings import Settings


def written(seed: int, levels: int) -> list[tuple[int, str]]:
    """Lines of code and their levels: blocks that open and close, as a brace language has them."""
    dice, lines, depth = random.Random(seed), [(0, "function f(a) {")], 1
    for number in range(dice.randint(4, 14)):
        lines.append((depth, f"call{number}(a);"))
        if dice.random() < 0.4 and depth < levels:
            lines.append((depth, f"if (test{number}(a)) {{"))
            lines.append((depth + 1, f"inner{number}(a);"))
            depth += 1
        elif dice.random() < 0.4 and depth > 1:
            depth -= 1
            lines.append((depth, "}"))
    return [*lines, *((level, "}") for level in range(depth - 1, -1, -1))]


def text_of(lines: list[tuple[int, str]], unit: str) -> str:
    return "\n".join(unit * level + line for level, line in lines)


def offered(request: CompletionRequest, answer: str, pieces: int = 10_000) -> str:
    """What is offered of an answer that comes in pieces through a provider's cutter."""
    stop = build(request, Limits(), Settings()).stop
    cutter = Cutter(msgspec.structs.replace(stop, max_tokens=1000))
    read = Answer(place_of(request))
    for start in range(0, len(answer), pieces):
        read.apply(Delta(cutter.feed(answer[start : start + pieces])))
    read.apply(Delta(cutter.end()))
    read.apply(Finish(why=cutter.why or "end"))
    read.close()
    rest = read.rest("")
    return postprocess.at_cursor(rest[0].text, place_of(request)).text if rest else ""


AS_WRITTEN: dict[str, Callable[[str, bool], str]] = {
    "as it is": lambda text, blank: text,
    "CR LF": lambda text, blank: text.replace("\n", "\r\n"),
    "one space more": lambda text, blank: " " + text if blank else text,
    "first line stripped": lambda text, blank: text.lstrip(" \t") if blank else text,
    "byte order mark": lambda text, blank: "\ufeff" + text,
    "white space on blank lines": lambda text, blank: text.replace("\n\n", "\n  \t \n"),
}
AUTHORS_AND_MODELS = [("\t", "\t"), ("\t", "  "), ("\t", "    "), ("\t", "        "), ("  ", "  "), ("  ", "\t"), ("    ", "    "), ("    ", "\t")]


@given(
    st.integers(0, 2**32), st.sampled_from(AUTHORS_AND_MODELS), st.sampled_from(sorted(AS_WRITTEN)), st.sampled_from([1, 3, 10_000]), st.booleans()
)
def test_a_block_is_offered_as_its_author_indented_it(seed: int, units: tuple[str, str], form: str, pieces: int, blank: bool) -> None:
    """The author indents by one unit, the model by another; its answer begins behind a line that opens a block, or on an indented blank line."""
    author, model = units
    lines = written(seed, 4)
    first = random.Random(seed).choice([number for number, (_, line) in enumerate(lines) if line.endswith("{")]) + 1
    level = lines[first][0]
    end = next(number for number in range(first, len(lines)) if lines[number][0] < level)
    left, right = text_of([(0, "let a = {"), (1, "b: 1,"), (0, "};"), *lines[:first]], author), text_of(lines[end:], author)
    said, wanted = text_of(lines[first:end], model), text_of(lines[first:end], author)
    document = f"{left}\n{author * level}█\n{right}\n" if blank else f"{left}█\n{right}\n"
    got = offered(at(document, language="javascript"), AS_WRITTEN[form](said if blank else f"\n{said}", blank), pieces)
    assert got.strip()
    assert f"{wanted}\n".startswith(f"{author * level}{got}\n" if blank else f"{got}\n"[1:])


@given(st.lists(st.sampled_from(["a", "  b", "\n", "\r\n", "\r", "\t", "\n\n", "\ufeff", "}"]), max_size=12), st.integers(1, 4))
def test_an_answer_is_the_same_however_it_arrives(parts: list[str], size: int) -> None:
    text = "".join(parts)
    request = at("def f():\n    x = 1\n    █\n")
    assert offered(request, text, size) == offered(request, text)


def test_what_the_editor_says_decides_where_no_line_does() -> None:
    request = at("class A {█\n", language="java", indentation=Indentation(tabs=True, tab=8))
    assert offered(request, "\n    int a;\n    int b;") == "\n\tint a;\n\tint b;"
    assert offered(msgspec.structs.replace(request, indentation=Indentation(step=2)), "\n\tint a;") == "\n  int a;"


@pytest.mark.parametrize(
    ("document", "stop"),
    [
        ("def f():\n    if x:\n        y = █\n", Stop(indent=8, tab=4)),
        ("a {\n  b {\n    █\n", Stop(indent=4, tab=2)),
        ("\ta {\n\t\tb █\n", Stop(indent=4, tab=2)),
        ("x = █\n", Stop(indent=None, tab=4)),
    ],
)
def test_the_stop_rule_counts_as_the_document_does(document: str, stop: Stop) -> None:
    asked = build(at(document, language="c"), Limits(), Settings()).stop
    assert (asked.indent, asked.tab) == (stop.indent, stop.tab)


def test_every_token_of_every_family_ends_an_answer() -> None:
    """The list of known tokens holds those of all families whose prompts are rendered here."""
    for family in table().values():
        for token in {family.prefix, family.suffix, family.middle, family.file, family.repo, *family.ends, *family.signs, *family.tokens} - {""}:
            assert offered(at("x = █\n"), f"compute(a, b){token}more()") in {"compute(a, b)", "compute(a, b)\u2581"}, token
