"""What holds for every text: typing through, trimming, windows. Hypothesis looks for the text for which it does not."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any

import msgspec
from conftest_completion import at
from hypothesis import assume, example, given
from hypothesis import strategies as st

from infill.ask import Delta, Finish
from infill.completion import postprocess
from infill.completion.answer import Answer
from infill.completion.cache import Cache
from infill.completion.context import Context
from infill.completion.pipeline import Completer
from infill.completion.place import CLOSERS, OPENERS, QUOTES, place_of
from infill.completion.postprocess import closers, overlap
from infill.completion.prompt import STEP, build, windows
from infill.completion.provenance import provenance_of
from infill.completion.types import CompletionRequest, Neighbour, Suggestion
from infill.providers.base import Limits
from infill.providers.fake import Fake
from infill.settings import Engine, Settings

pieces = st.sampled_from(
    [
        "x",
        "foo",
        "bar",
        " ",
        "  ",
        "    ",
        "\t",
        "\n",
        "\n    ",
        "\n\n",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        ",",
        ":",
        ";",
        "=",
        "def f",
        "return",
        "é",
        "😀",
    ]
)
code = st.lists(pieces, max_size=30).map("".join)
documents = st.tuples(code, code)
unbroken = code.map(lambda text: re.sub("[\"']", '"x"', text))
"""Code whose strings are whole: what a broken one leaves open depends on where it is cut."""
QUIET = Settings(engine=Engine(prefetch=False, warm=False))


def request(document: tuple[str, str], **more: Any) -> CompletionRequest:
    return msgspec.structs.replace(at("█"), prefix=document[0], suffix=document[1], **more)


def accepted(request: CompletionRequest, suggestion: Suggestion) -> str:
    return request.prefix + suggestion.text + request.suffix[suggestion.replaces :]


def ask(completer: Completer, *requests: CompletionRequest) -> list[tuple[Suggestion, ...]]:
    async def all_of_them() -> list[tuple[Suggestion, ...]]:
        answers = [(await completer.complete(one)).suggestions for one in requests]
        await completer.aclose()
        return answers

    return asyncio.run(all_of_them())


def type_as_an_editor(request: CompletionRequest, text: str) -> CompletionRequest:
    """Closers that stand right of the cursor are typed over."""
    for character in text:
        over = request.suffix[:1] == character and (character in CLOSERS or character in QUOTES)
        request = msgspec.structs.replace(request, prefix=request.prefix + character, suffix=request.suffix[1:] if over else request.suffix)
    return request


def nests(text: str) -> bool:
    """Whether no bracket of the text is ended by the closer of another one."""
    wanted: list[str] = []
    for character in text:
        if character in OPENERS:
            wanted.append(OPENERS[character])
        elif character in CLOSERS and wanted and wanted.pop() != character:
            return False
    return True


rights = st.sampled_from([("", ""), ("", "\n"), ("f(", ")\n"), ('f("', '")\n'), ("f {\n    ", "\n}\n"), ("a[", "];\n"), ("f({", "})\n")])
"""What is open left of the cursor, and what the editor has closed right of it."""


@given(st.tuples(code, rights).map(lambda parts: (parts[0] + "\n" + parts[1][0], parts[1][1])), unbroken, st.integers(0, 200))
@example(("foo(", ")\n"), "a, b)", 3)
@example(("x = f", "\n"), "(a)\nreturn x", 5)
def test_accepting_a_part_and_then_the_rest_gives_the_same_document(document: tuple[str, str], answer: str, split: int) -> None:
    assume(nests(answer))  # a bracket that another one's closer ends is as wrong in one place as in the next
    first = request(document)
    provider = Fake([answer])
    offered = ask(Completer(provider, QUIET), first)[0]
    assume(offered)
    whole = offered[0]
    typed = whole.text[: split % len(whole.text)]
    assume(whole.text[len(typed) :].strip())
    later = type_as_an_editor(first, typed)
    assume(later.suffix == first.suffix)
    assume("\n" not in typed or first.suffix[:1] in {"", "\n"})  # which line opened what is right of the cursor is only known on its own line
    second = ask(Completer(provider, QUIET), first, later)[1]
    assume(second)  # what remains may be nothing but a bracket that is there
    assert accepted(later, second[0]) == accepted(first, whole)


@given(documents, code)
def test_trimming_ends_at_a_line_that_the_suffix_holds(document: tuple[str, str], text: str) -> None:
    place = place_of(request(document))
    kept = overlap.tail_trimmed(text, place)
    assert text.startswith(kept)
    below = [line.strip() for line in document[1].split("\n")]
    removed = [line.strip() for line in text[len(kept) :].split("\n") if line.strip()]
    assert not removed or any(line.startswith(removed[0]) for line in below)


@given(documents, code)
def test_what_is_shown_is_a_beginning_of_what_was_said_and_perhaps_a_line_break(document: tuple[str, str], text: str) -> None:
    shown = postprocess.at_cursor(text, place_of(request(document)))
    assert text.startswith(shown.text.rstrip())


@given(documents, code)
def test_only_closers_and_punctuation_are_ever_replaced(document: tuple[str, str], text: str) -> None:
    place = place_of(request(document))
    count = closers.fitted(text, place).replaces
    assert 0 <= count <= len(place.line_after)
    assert not any(map(str.isalnum, place.line_after[:count]))


@given(documents, code)
def test_each_step_has_nothing_more_to_do_the_second_time(document: tuple[str, str], text: str) -> None:
    place = place_of(request(document))
    for step in (*postprocess.CACHEABLE, *postprocess.AT_CURSOR):
        again = {"not_doubled"} | ({"tail_trimmed"} if place.line_after.strip() else set())
        if step.__name__ not in again:  # what these leave may look like what they take away
            once = step(text, place)
            assert step(once, place) == once, step.__name__


anything = st.text(st.characters(exclude_categories=()))


@given(st.tuples(anything, anything), anything, st.sampled_from(["python", "rust", "html", "", "makefile"]))
def test_no_text_is_too_strange(document: tuple[str, str], text: str, language: str) -> None:
    place = place_of(request(document, language=language))
    cleaned, _ = postprocess.cacheable(text, place)
    postprocess.at_cursor(cleaned, place)
    prompt = build(request(document), Limits(prefix_tokens=8, suffix_tokens=4), Settings())
    assert (prompt.prefix + prompt.suffix).encode() is not None


@given(documents, code, st.integers(0, 100))
def test_an_answer_is_found_again_by_whoever_types_it(document: tuple[str, str], text: str, split: int) -> None:
    assume(text.strip() and "\r" not in text)
    first = request(document)
    answer = Answer(place_of(first), provenance_of(first, document))
    answer.apply(Delta(text))
    answer.apply(Finish())
    answer.close()
    cache = Cache()
    cache.store(answer)
    rest = answer.rest("")
    assume(rest)
    typed = rest[0].text[: split % len(rest[0].text)]
    hit = cache.find(request((document[0] + typed, document[1])))
    assume(rest[0].text[len(typed) :].strip())
    assert hit is not None and typed + hit.answer.rest(hit.typed)[0].text == rest[0].text


# ---------------------------------------------------------------- windows

texts = st.tuples(st.integers(200, 400), st.integers(0, 2**32)).map(lambda size_and_seed: numbered(*size_and_seed))


def numbered(lines: int, seed: int) -> str:
    lengths = random.Random(seed)
    return "".join(f"{number}{'x' * lengths.randint(0, 78)}\n" for number in range(lines))


@given(texts, st.integers(0, 10_000), st.integers(600, 4000), st.integers(200, 2000))
def test_windows_are_what_stands_around_the_cursor_within_the_budget(text: str, cursor: int, before: int, after: int) -> None:
    cursor %= len(text)
    prefix, suffix = windows(text[:cursor], text[cursor:], Limits(prefix_tokens=before, suffix_tokens=after, chars_per_token=1))
    assert text[:cursor].endswith(prefix) and text[cursor:].startswith(suffix)
    assert len(prefix) + len(suffix) <= before + after
    assert len(prefix) >= min(cursor, before) // 2  # never starved
    assert len(suffix) >= min(len(text) - cursor, after) // 2


@given(texts, st.integers(0, 10_000), st.integers(10, 200))
def test_windows_stand_still_while_lines_are_typed(text: str, cursor: int, lines: int) -> None:
    cursor = text.find("\n", cursor % len(text)) + 1
    limits = Limits(prefix_tokens=4000, suffix_tokens=1500, chars_per_token=1)
    starts, ends = set(), set()
    for count in range(lines):
        prefix = text[:cursor] + "typed text\n" * count
        before, after = windows(prefix, text[cursor:], limits)
        starts.add(len(prefix) - len(before))
        ends.add(len(after))
    assert len(ends) <= 2  # it moves once at most: when the file no longer fits whole
    assert len(starts) <= lines // STEP + 3


@given(texts, st.integers(0, 10_000))
def test_the_window_begins_and_ends_where_others_typed_nothing(text: str, cursor: int) -> None:
    """The first line's number, and the last one's distance from the end, are multiples of a step whatever the cursor's line is."""
    cursor %= len(text)
    prefix, suffix = windows(text[:cursor], text[cursor:], Limits(prefix_tokens=4000, suffix_tokens=2000, chars_per_token=1))
    first = text[: cursor - len(prefix)].count("\n")
    left = text[cursor + len(suffix) :].count("\n")
    assert first % 8 == 0
    assert left % 8 == 0 or len(suffix) + cursor == len(text)


# ---------------------------------------------------------------- context


@given(st.lists(st.tuples(st.sampled_from(["a.py", "b.py", "c.py"]), code, st.floats(0, 100)), max_size=4), code, st.integers(0, 500))
def test_snippets_never_exceed_their_own_budget(others: list[tuple[str, str, float]], prefix: str, budget: int) -> None:
    neighbours = tuple(Neighbour(path, text, edited) for path, text, edited in others)
    chosen = Context().gather(request((prefix, ""), neighbours=neighbours), budget)
    assert sum(len(snippet.text) for snippet in chosen) <= budget
