"""Answers found again: while typing through, after scrolling, after edits elsewhere; and not where they no longer hold."""

from __future__ import annotations

import pytest
from conftest_completion import at

from infill.ask import Delta, Finish, Snippet
from infill.completion.answer import Answer
from infill.completion.cache import Cache, Hit
from infill.completion.place import place_of, same_below
from infill.completion.prompt import windows
from infill.completion.provenance import provenance_of
from infill.completion.types import CompletionRequest, Neighbour
from infill.providers.base import Limits

LIMITS = Limits(prefix_tokens=1000, suffix_tokens=400, chars_per_token=3)
BODY = "\n".join(f"def function_{number}(a, b):\n    return a + b * {number}\n" for number in range(200))


def answered(cache: Cache, request: CompletionRequest, *texts: str) -> Answer:
    made_of = provenance_of(request, windows(request.prefix, request.suffix, LIMITS))
    answer = Answer(place_of(request), made_of, asked=len(texts))
    for number, text in enumerate(texts):
        answer.apply(Delta(text, number))
        answer.apply(Finish(number))
    answer.close()
    cache.store(answer)
    return answer


def rest(hit: Hit | None) -> list[str]:
    assert hit
    return [suggestion.text for suggestion in hit.answer.rest(hit.typed)]


def test_an_answer_of_five_hundred_characters_is_typed_through_to_its_end() -> None:
    cache = Cache()
    answer = "".join(f"item_{number} = load({number})\n" for number in range(30)).rstrip()
    assert len(answer) > 500
    answered(cache, at(f"{BODY}█\n"), answer)
    for typed in range(len(answer)):
        assert rest(cache.find(at(f"{BODY}{answer[:typed]}█\n"))) == [answer[typed:]]


def test_an_accepted_word_leads_to_the_rest() -> None:
    cache = Cache()
    answered(cache, at("x = █\n"), "first_word.second_word()")
    assert rest(cache.find(at("x = first_word█\n"))) == [".second_word()"]


def test_an_edit_far_above_leaves_the_answer_valid() -> None:
    cache = Cache()
    answered(cache, at(f"{BODY}x = █\n{BODY}"), "foo()")
    assert rest(cache.find(at(f"import os\n{BODY}x = █\n{BODY}"))) == ["foo()"]


def test_an_edit_far_below_leaves_the_answer_valid() -> None:
    cache = Cache()
    answered(cache, at(f"{BODY}x = █\n{BODY}"), "foo()")
    assert rest(cache.find(at(f"{BODY}x = █\n{BODY}more()\n"))) == ["foo()"]


def test_an_edit_just_above_makes_it_stale() -> None:
    cache = Cache()
    answered(cache, at(f"{BODY}a = 1\nx = █\n"), "a + 1")
    assert cache.find(at(f"{BODY}b = 1\nx = █\n")) is None


def test_an_edit_just_below_makes_it_stale() -> None:
    cache = Cache()
    answered(cache, at("x = █\nfoo(x)\n"), "1 + 2")
    assert cache.find(at("x = █\nbar(x)\n")) is None


def test_text_that_was_deleted_is_not_offered_again() -> None:
    cache = Cache()
    answered(cache, at("x = fo█\n"), "o()")
    assert cache.find(at("x = f█\n")) is None


def test_an_answer_typed_to_its_end_is_no_answer() -> None:
    cache = Cache()
    answered(cache, at("x = █\n"), "foo()")
    assert cache.find(at("x = foo()█\n")) is None


def test_that_there_is_nothing_to_say_is_an_answer_at_that_place_alone() -> None:
    cache = Cache()
    answered(cache, at("x = █\n"), "")
    assert rest(cache.find(at("x = █\n"))) == []
    assert cache.find(at("x = 1█\n")) is None


def test_of_two_answers_at_one_place_the_one_with_more_candidates_stays() -> None:
    cache = Cache()
    answered(cache, at("x = █\n"), "foo()")
    assert cache.find(at("x = █\n"), lambda hit: hit.answer.asked >= 3) is None
    answered(cache, at("x = █\n"), "foo()", "bar()", "baz()")
    assert rest(cache.find(at("x = █\n"), lambda hit: hit.answer.asked >= 3)) == ["foo()", "bar()", "baz()"]
    assert rest(cache.find(at("x = b█\n"))) == ["ar()", "az()"]
    assert len(cache) == 1


def test_the_least_recently_used_answer_goes() -> None:
    cache = Cache(capacity=2)
    answered(cache, at("a = █\n"), "11")
    answered(cache, at("b = █\n"), "22")
    assert rest(cache.find(at("a = █\n"))) == ["11"]
    answered(cache, at("c = █\n"), "33")
    assert cache.find(at("b = █\n")) is None
    assert rest(cache.find(at("a = 1█\n"))) == ["1"]
    assert len(cache) == 2


def test_indentation_taken_back_is_another_question() -> None:
    cache = Cache()
    answered(cache, at("def f():\n    █\n"), "    return 1")
    assert rest(cache.find(at("def f():\n    ret█\n"))) == ["urn 1"]
    assert cache.find(at("def f():\n█\n")) is None


@pytest.mark.parametrize("other", [{"uri": "file:///b.ts"}, {"language": "typescript"}, {"path": "renamed.py"}])
def test_an_answer_serves_its_own_document_in_its_own_language_alone(other: dict[str, str]) -> None:
    cache = Cache()
    answered(cache, at("import █\n"), "numpy as np")
    assert rest(cache.find(at("import █\n"))) == ["numpy as np"]
    assert cache.find(at("import █\n", **other)) is None


def test_an_edit_inside_the_window_far_above_makes_it_stale_until_it_is_undone() -> None:
    cache = Cache()
    filler = "# text between\n" * 140
    assert 2000 < len(filler) < 2500
    answered(cache, at(f"{BODY}def old_name():\n    pass\n{filler}x = █\n{BODY}"), "old_name()")
    for typed in ("", "o", "old_"):
        assert cache.find(at(f"{BODY}def new_name():\n    pass\n{filler}x = {typed}█\n{BODY}")) is None
    assert rest(cache.find(at(f"{BODY}def old_name():\n    pass\n{filler}x = o█\n{BODY}"))) == ["ld_name()"]


def test_an_edit_inside_the_window_far_below_makes_it_stale() -> None:
    cache = Cache()
    filler = "# text between\n" * 40
    answered(cache, at(f"{BODY}x = █\n{filler}def old_name(): ...\n{BODY}"), "old_name()")
    assert cache.find(at(f"{BODY}x = █\n{filler}def new_name(): ...\n{BODY}")) is None


@pytest.mark.parametrize("now", ["import os\nx = █\ny = 1\n", "x = █\ny = 1\nz = 2\n"])
def test_text_added_to_a_document_that_was_sent_whole_makes_it_stale(now: str) -> None:
    cache = Cache()
    answered(cache, at("x = █\ny = 1\n"), "foo()")
    assert rest(cache.find(at("x = █\ny = 1\n"))) == ["foo()"]
    assert cache.find(at(now)) is None


def test_a_piece_of_another_file_that_was_sent_has_to_be_in_it_still() -> None:
    cache = Cache()
    old, moved, new = (
        Neighbour("b.py", text, edited) for text, edited in (("def old(): ...", 1.0), ("import os\ndef old(): ...", 2.0), ("def new(): ...", 3.0))
    )
    request = at("x = █\n", neighbours=(old,))
    made_of = provenance_of(request, (request.prefix, request.suffix), (Snippet("b.py", "def old(): ..."),))
    answer = Answer(place_of(request), made_of)
    answer.apply(Delta("old()"))
    answer.apply(Finish())
    answer.close()
    cache.store(answer)
    for still in ((old,), (moved,), (Neighbour("c.py", ""), old)):
        assert rest(cache.find(at("x = o█\n", neighbours=still))) == ["ld()"]
    for changed in ((new,), (), (Neighbour("c.py", old.text),)):
        assert cache.find(at("x = o█\n", neighbours=changed)) is None


def test_that_there_is_nothing_to_say_stands_until_the_document_changes() -> None:
    cache = Cache()
    cache.ended(answered(cache, at("x = █\n"), ""))
    assert rest(cache.find(at("x = █\n"))) == []
    cache.changed("file:///other.py")
    assert cache.find(at("x = █\n")) is not None
    cache.changed("file:///a.py")
    assert cache.find(at("x = █\n")) is None and len(cache) == 0


@pytest.mark.parametrize(
    ("before", "now", "typed", "same"),
    [
        ("\nb\n", "\nb\n", "x", True),
        ("\nb\n", ")\nb\n", "foo(", True),
        ("\nb\n", "])\nb\n", "foo([", True),
        ("\nb\n", '")\nb\n', 'foo("', True),
        ("\nb\n", "\n}\nb\n", "if (x) {\n    ", True),
        (")\nb\n", "\nb\n", "x)", True),
        ('")\nb\n', "\nb\n", 'x")', True),
        ("\nb\n", ")\nb\n", "foo()", False),
        ("\nb\n", "]\nb\n", "foo(", False),
        ("\nb\n", "\nc\n", "x", False),
        ("", "", "x", True),
        ("", ")", "f(", True),
        (")", "", "x)", True),
        ("\n", "", "x", False),
    ],
)
def test_what_the_editor_closes_or_types_over_is_no_edit(before: str, now: str, typed: str, same: bool) -> None:
    assert same_below(before, now, typed, to_end=True) is same
    assert same_below(before, f"{now}far below", typed, to_end=False) is same or not before
