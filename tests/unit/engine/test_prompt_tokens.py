"""How the parts of a prompt become tokens, with a vocabulary in which every character is one token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.ask import Message, Piece, Snippet
from infill.engine.prompt_tokens import Fim, Parts, budget, chat, fim_of, fit, half_typed, header, join, overhead, pieces

PRE, SUF, MID, SEP, BOS = 1000, 1001, 1002, 1003, 1004
PSM = Fim(order="psm", prefix=PRE, suffix=SUF, middle=MID, separator=SEP)
SPM = Fim(order="spm", prefix=PRE, suffix=SUF, middle=MID)
PARTS = Parts(prefix=[1, 2], suffix=[8, 9])


class Vocabulary:
    def __init__(self, *, order: str = "", adds_bos: bool = False, **special: int) -> None:
        self.order, self.adds_bos, self._special = order, adds_bos, special

    def special(self, name: str) -> int:
        return self._special.get(name, -1)

    def metadata(self, key: str) -> str:
        return self.order if key == "infill.fim_order" else ""


def letters(text: str, special: bool = False) -> list[int]:
    return [ord(letter) + (10_000 if special else 0) for letter in text]


def ended(steps):
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_prefix_first_models_get_prefix_suffix_middle() -> None:
    assert join(PSM, PARTS) == [PRE, 1, 2, SUF, 8, 9, MID]


def test_suffix_first_models_get_the_prefix_last() -> None:
    assert join(SPM, PARTS) == [SUF, 8, 9, PRE, 1, 2, MID]


def test_the_file_knows_its_order_better_than_the_catalogue() -> None:
    known = {"fim_pre": PRE, "fim_suf": SUF, "fim_mid": MID}
    assert fim_of(Vocabulary(order="spm", **known), "psm").order == "spm"
    assert fim_of(Vocabulary(**known), "spm").order == "spm"
    assert fim_of(Vocabulary(**known), "").order == "psm"


@pytest.mark.parametrize("tokens", [{}, {"fim_pre": PRE}, {"fim_pre": PRE, "fim_suf": SUF}, {"fim_mid": MID}])
def test_a_model_without_all_fim_tokens_continues_the_prefix(tokens: dict[str, int]) -> None:
    fim = fim_of(Vocabulary(adds_bos=True, bos=BOS, **tokens), "")
    assert not fim.fills
    assert join(fim, Parts(prefix=[1, 2], suffix=(), header=[7])) == [BOS, 7, 1, 2]
    assert overhead(fim) == 1
    assert join(fim_of(Vocabulary(), ""), Parts(prefix=[], suffix=())) == []


def test_a_model_that_continues_reads_the_path_and_the_snippets_as_comments() -> None:
    fim = fim_of(Vocabulary(), "")
    assert header(fim, [Snippet("a.py", "x\ny")], "b.py", letters) == letters("# a.py\n# x\n# y\n# b.py\n")
    assert header(fim, [], "b.py", letters) == letters("# b.py\n")
    assert header(fim, [Snippet("a.py", "x")], "b.unknown", letters) == []


def test_a_suffix_first_model_needs_no_middle_token() -> None:
    fim = fim_of(Vocabulary(fim_pre=PRE, fim_suf=SUF), "spm")
    assert join(fim, PARTS) == [SUF, 8, 9, PRE, 1, 2]


def test_a_vocabulary_that_wants_a_start_token_gets_it_first() -> None:
    fim = fim_of(Vocabulary(adds_bos=True, bos=BOS, fim_pre=PRE, fim_suf=SUF, fim_mid=MID), "")
    assert join(fim, PARTS)[0] == BOS


def test_snippets_stand_before_the_prompt_as_files() -> None:
    tokens = header(PSM, [Snippet("a.py", "x")], "b.py", letters)
    assert tokens == [SEP, *letters("a.py\nx\n"), SEP, *letters("b.py\n")]
    assert join(PSM, Parts(prefix=[1], suffix=[2], header=tokens))[: len(tokens)] == tokens


def test_a_model_without_a_file_separator_gets_no_snippets() -> None:
    assert header(SPM, [Snippet("a.py", "x")], "b.py", letters) == []


def test_special_tokens_in_what_somebody_wrote_stay_text() -> None:
    def render(turns):
        yield
        return f"<s>{turns[0]['content']}<e>"

    tokens = ended(chat([Message("user", "<|im_end|>")], render, letters)).tokens
    assert tokens == letters("<s>", True) + letters("<|im_end|>") + letters("<e>", True)


def test_a_file_that_fits_goes_in_whole() -> None:
    assert fit(PARTS, budget(100)) == (PARTS, ())


def test_a_cut_is_told() -> None:
    _, notes = fit(Parts(prefix=list(range(500)), suffix=list(range(100))), budget(100))
    assert notes[0].startswith("trimmed to ")


@given(st.integers(0, 400), st.integers(0, 400), st.integers(8, 300))
def test_a_cut_prompt_is_within_its_budget_and_the_prefix_is_never_starved(before: int, after: int, total: int) -> None:
    parts, _ = fit(Parts(prefix=list(range(before)), suffix=list(range(1000, 1000 + after))), budget(total))
    assert len(parts.prefix) + len(parts.suffix) <= total
    assert len(parts.prefix) >= min(before, total * 0.6)
    assert list(parts.prefix) == list(range(before))[before - len(parts.prefix) :]
    assert list(parts.suffix) == list(range(1000, 1000 + after))[: len(parts.suffix)]


def test_the_windows_start_stands_still_while_lines_are_typed() -> None:
    starts = {fit(Parts(prefix=list(range(size)), suffix=[]), budget(200))[0].prefix[0] for size in range(1000, 1100)}
    assert len(starts) <= 100 // (200 // 8) + 1


def test_the_windows_end_stands_still_when_the_cursor_moves_down() -> None:
    text = [(17 * i * i + i) % 997 for i in range(400)]
    prefix, previous, ends = list(range(2000, 3000)), (), set()
    for cursor in range(8):
        parts, _ = fit(Parts(prefix=prefix, suffix=text[cursor:]), budget(300), previous)
        previous = parts.suffix
        ends.add(cursor + len(parts.suffix))
    assert len(ends) == 1


def test_the_last_token_may_be_half_of_one_but_not_across_a_line_break() -> None:
    pieces = {1: b"ret", 2: b"    ", 3: b"\n", 4: b":\n\n", 5: b""}.__getitem__
    assert [half_typed([9, token], pieces) for token in (1, 2, 3, 4, 5)] == [b"ret", b"    ", b"", b"", b""]
    assert half_typed([], pieces) == b""


def test_a_line_break_is_half_typed_where_the_vocabulary_joins_it_with_the_indentation() -> None:
    pieces = {1: b"\n", 2: b"\n\n", 3: b"\n    "}.__getitem__
    assert [half_typed([9, token], pieces, True) for token in (1, 2, 3)] == [b"\n", b"\n\n", b""]


def test_a_prompt_in_a_models_own_format_has_its_control_tokens_and_none_from_the_text():
    def special(text: str, special: bool) -> list[int]:
        return [SEP] if text == "<|file_sep|>" else letters(text)

    tokens, controls = pieces(
        [Piece("a<|file_sep|>b", "<|file_sep|>"), Piece("c", "<|none|>"), Piece("", "<|file_sep|>")], letters, letters, special, BOS
    )
    assert tokens == [BOS, SEP, *letters("a<|file_sep|>b"), *letters("<|none|>c"), SEP]
    assert controls == {SEP}
