"""What an author wrote in a pair that the editor closed comes back exactly, and reading in pieces gives what reading at once gives."""

from __future__ import annotations

import re

import pytest
from conftest_completion import at
from hypothesis import given
from hypothesis import strategies as st

from infill.ask import Delta, Finish
from infill.completion import postprocess
from infill.completion.answer import Answer
from infill.completion.lexer import scan, state_after
from infill.completion.place import place_of

BRACKETS = [("f(", ")"), ("[", "]"), ("{", "}")]
PAIRS = {
    "python": [*BRACKETS, ('"', '"'), ("'", "'"), ('f"{', '}"'), ("g('''", "''')")],
    "typescriptreact": [*BRACKETS, ('"', '"'), ("`${", "}`"), ("(<b>{", "}</b>)"), ('(<i a="', '" />)'), ("/* ", " */")],
    "rust": [*BRACKETS, ('"', '"'), ("Vec<", ">"), ("m(|", "|)"), ("&'a f(", ")")],
    "go": [*BRACKETS, ('"', '"'), ("`", "`"), ("/* ", " */")],
    "ruby": [*BRACKETS, ('"#{', '}"'), ("'", "'")],
    "html": [('<p class="', '"></p>'), ("<b>", "</b>"), ("<!-- ", " -->"), ("{{ ", " }}")],
    "c": [*BRACKETS, ('"', '"'), ("'\\n', f(", ")"), ("/* ) */ g(", ")")],
}
leaves = st.sampled_from(["alpha", "beta, gamma", "delta.eps", "zeta eta"])


@st.composite
def cut_texts(draw: st.DrawFn) -> tuple[str, str, str, str, str]:
    """A language, the text before the cursor, what the author wrote there, the closer of the pair, and what follows it."""
    language = draw(st.sampled_from(sorted(PAIRS)))
    before, after = "x = " if language != "html" else "", "\n"
    for opener, closer in draw(st.lists(st.sampled_from(BRACKETS if language != "html" else [("<i>", "</i>")]), max_size=2)):
        before, after = f"{before}{opener}", f"{closer}{after}"
    opener, closer = draw(st.sampled_from(PAIRS[language]))
    said = draw(leaves)
    for _ in range(draw(st.integers(0, 2))):  # the same pair again, as in `a", "b`
        said = f"{said}{closer}, {opener}{draw(leaves)}"
    return language, before + opener, said, closer, after


def accept(language: str, before: str, said: str, after: str) -> str:
    request = at("█", language=language, prefix=before, suffix=after)
    answer = Answer(place_of(request))
    answer.apply(Delta(said))
    answer.apply(Finish())
    answer.close()
    (rest,) = answer.rest("")
    shown = postprocess.at_cursor(rest.text, place_of(request))
    return before + shown.text + after[shown.replaces :]


@given(cut_texts())
def test_what_the_author_wrote_in_a_pair_comes_back(case: tuple[str, str, str, str, str]) -> None:
    language, before, said, closer, after = case
    assert accept(language, before, said, closer + after) == before + said + closer + after


@given(cut_texts())
def test_closers_that_the_model_repeats_are_there_once(case: tuple[str, str, str, str, str]) -> None:
    language, before, said, closer, after = case
    assert accept(language, before, said + closer, closer + after) == before + said + closer + after


@given(cut_texts())
def test_the_rest_of_the_line_that_the_model_repeats_is_there_once(case: tuple[str, str, str, str, str]) -> None:
    language, before, said, closer, after = case
    assert accept(language, before, said + closer + after, closer + after) == before + said + closer + after


@given(cut_texts(), st.integers(0, 200))
def test_reading_in_two_pieces_gives_what_reading_at_once_gives(case: tuple[str, str, str, str, str], split: int) -> None:
    language, *parts = case
    text = "".join(parts)
    start = state_after("", language)
    tags = {place for tag in re.finditer(r"</?\w+", text) for place in range(tag.start() + 1, tag.end())}
    places = [place for place in range(len(text)) if text[place].isalnum() and place not in tags]  # not inside a delimiter
    half = scan(text[: places[split % len(places)]], start).state
    assert [frame.closer for frame in scan(text, half).state.stack] == [frame.closer for frame in scan(text, start).state.stack]


@pytest.mark.parametrize("window", ['it\'s in the docstring\n"""\n', "don't (\n*/\n", "a `b` <c>\n-->\n"])
@pytest.mark.parametrize("language", sorted(PAIRS))
def test_a_window_that_begins_in_a_string_does_not_lose_a_quote(window: str, language: str) -> None:
    before, after = f'{window}x = ["', '"]\n'
    assert accept(language, before, 'a", "b', after) == f'{before}a", "b{after}'
