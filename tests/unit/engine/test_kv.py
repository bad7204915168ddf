"""Plans for the KV cache, carried out on a model of llama.cpp's cache that is as strict as the real one."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from infill.engine import kv
from infill.engine.kv import Block, Costs, arrange
from infill.engine.llama import Aborted, CacheFull
from infill.engine.slots import Slot, Slots

CHEAP = Costs(call=0, shift=0, inexact=0, block=2)
"""Prices at which everything that can stay does."""
TEXT = st.lists(st.integers(0, 5), max_size=60)


class Cell:
    def __init__(self, token: int, position: int, sequence: int) -> None:
        self.token, self.position, self.sequences = token, position, {sequence}


class Cache:
    """What llama.cpp does with tokens, without a model: every batch continues its sequence, and a cell that is shared moves for all who share it."""

    def __init__(self, size: int = 400, aborts: Sequence[bool] = ()) -> None:
        self.cells: list[Cell] = []
        self.size = size
        self.shift_pending = False
        self.largest_batch = 3
        self.evaluated = self.batches = 0
        self._aborts = list(aborts)

    def decode(self, tokens: Sequence[int], start: int, sequence: int, outputs: int = 0) -> None:
        assert tokens
        assert start == max((cell.position for cell in self._of(sequence)), default=start - 1) + 1
        if len(self.cells) + len(tokens) > self.size:
            raise CacheFull
        if self._aborts and self._aborts.pop() and not self.shift_pending:
            raise Aborted
        self.cells += [Cell(token, start + i, sequence) for i, token in enumerate(tokens)]
        self.evaluated += len(tokens)
        self.shift_pending = False

    def remove(self, sequence: int, start: int = 0, end: int = -1) -> None:
        for cell in self._of(sequence, start, end):
            cell.sequences.discard(sequence)
        self.cells = [cell for cell in self.cells if cell.sequences]

    def copy(self, source: int, target: int, start: int = 0, end: int = -1) -> None:
        for cell in self._of(source, start, end):
            cell.sequences.add(target)

    def shift(self, sequence: int, start: int, end: int, by: int) -> None:
        for cell in self._of(sequence, start, end):
            assert cell.sequences == {sequence}, "a shared cell would move for all who share it"
            cell.position += by
        self.shift_pending = True

    def tokens(self, sequence: int) -> list[int]:
        cells = sorted(self._of(sequence), key=lambda cell: cell.position)
        assert [cell.position for cell in cells] == list(range(len(cells))), "positions without holes"
        return [cell.token for cell in cells]

    def _of(self, sequence: int, start: int = 0, end: int = -1) -> list[Cell]:
        end = end if end >= 0 else 1 << 30
        return [cell for cell in self.cells if sequence in cell.sequences and start <= cell.position < end]


def filled(slots: Slots, slot: Slot, wanted: list[int], costs: Costs = CHEAP) -> int:
    """Carry a plan out whole; returns how many tokens were evaluated."""
    return sum(did.tokens for did in slots.fill(slot, wanted, arrange(slot.tokens, wanted, True, costs)))


def start(tokens: list[int], **options: object) -> tuple[Cache, Slots, Slot]:
    cache = Cache(**options)  # type: ignore[arg-type]
    slots = Slots(cache)  # type: ignore[arg-type]
    slot = slots.take("a.py", object())
    if tokens:
        filled(slots, slot, tokens)
    return cache, slots, slot


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Tokens, and the same after a few insertions, deletions and moves."""
    before = draw(TEXT)
    after = list(before)
    for _ in range(draw(st.integers(0, 4))):
        place, length, to = (draw(st.integers(0, len(after))) for _ in range(3))
        piece = after[place : place + length]
        del after[place : place + length]
        after[to:to] = draw(st.sampled_from([[], piece])) or draw(st.lists(st.integers(0, 5), max_size=8))
    return before, [*after, 99]


@given(edits(), st.sampled_from([CHEAP, Costs(), Costs(call=1, shift=2, inexact=1, block=4)]), st.booleans())
def test_a_plan_carried_out_gives_exactly_the_wanted_tokens_in_order(edit: tuple[list[int], list[int]], costs: Costs, can_shift: bool) -> None:
    before, wanted = edit
    cache, slots, slot = start(before)
    layout = arrange(slot.tokens, wanted, can_shift, costs)
    evaluated = sum(did.tokens for did in slots.fill(slot, wanted, layout))
    assert cache.tokens(slot.sequence) == slot.tokens == wanted
    assert evaluated == len(wanted) - layout.kept
    assert {sequence for cell in cache.cells for sequence in cell.sequences} == {slot.sequence}
    assert can_shift or not layout.moved


@given(st.lists(edits(), min_size=1, max_size=6), st.lists(st.booleans(), max_size=30), st.lists(st.integers(0, 6), max_size=6))
def test_plans_that_are_aborted_or_dropped_leave_books_that_agree_with_the_cache(
    changes: list[tuple[list[int], list[int]]], aborts: list[bool], steps: list[int]
) -> None:
    cache, slots, slot = start(changes[0][0], aborts=aborts)
    for number, (_, wanted) in enumerate(changes):
        filling = slots.fill(slot, wanted, arrange(slot.tokens, wanted, True, CHEAP))
        for _ in range(steps[number] if number < len(steps) else 1000):
            if next(filling, None) is None:
                break
        filling.close()  # type: ignore[attr-defined]
        assert cache.tokens(slot.sequence) == slot.tokens
        assert {sequence for cell in cache.cells for sequence in cell.sequences} <= {slot.sequence}


@given(edits(), edits(), st.integers(1, 4))
def test_a_slot_taken_over_half_way_is_put_right_for_its_new_owner(
    one: tuple[list[int], list[int]], two: tuple[list[int], list[int]], steps: int
) -> None:
    cache, slots, slot = start(one[0])
    older = slots.fill(slot, one[1], arrange(slot.tokens, one[1], True, CHEAP))
    for _ in range(steps):
        next(older, None)
    assert slots.take("a.py", object()) is slot
    filled(slots, slot, two[1])
    assert list(older) == []
    assert cache.tokens(slot.sequence) == slot.tokens == two[1]


def test_typing_in_front_of_a_suffix_evaluates_what_was_typed_and_the_last_token() -> None:
    before, suffix = list(range(100, 200)), list(range(300, 380))
    cache, slots, slot = start([1, *before, 2, *suffix])
    evaluated = filled(slots, slot, [1, *before, 7, 2, *suffix, 3], Costs())
    assert evaluated == 2
    assert cache.tokens(slot.sequence)[-1] == 3


def test_deleting_in_front_of_a_suffix_evaluates_only_the_last_token() -> None:
    before, suffix = list(range(100, 200)), list(range(300, 380))
    _, slots, slot = start([1, *before, 2, *suffix])
    assert filled(slots, slot, [1, *before[:-5], 2, *suffix, 3], Costs()) == 1


def test_a_cursor_that_moves_down_takes_text_from_the_suffix_into_the_prefix() -> None:
    before, crossing, suffix = list(range(100, 200)), list(range(500, 540)), list(range(300, 380))
    _, slots, slot = start([1, *before, 2, *crossing, *suffix])
    assert filled(slots, slot, [1, *before, *crossing, 2, *suffix, 3], Costs()) == 2


def test_a_cursor_that_moves_up_gives_text_from_the_prefix_to_the_suffix() -> None:
    before, crossing, suffix = list(range(100, 200)), list(range(500, 540)), list(range(300, 380))
    _, slots, slot = start([1, *before, *crossing, 2, *suffix])
    assert filled(slots, slot, [1, *before, 2, *crossing, *suffix, 3], Costs()) == 2


def test_a_window_that_moved_on_keeps_what_it_still_shows() -> None:
    text = list(range(1000, 1400))
    _, slots, slot = start([1, *text[:300], 2, 3, 4])
    assert filled(slots, slot, [1, *text[32:305], 2, 3, 4, 9], Costs()) <= 5 + 3 + 1


def test_moving_is_not_worth_its_price_for_a_few_tokens() -> None:
    layout = arrange([1, 2, 3, 4, 5], [1, 9, 3, 4, 5, 7], True, Costs(call=4, shift=8))
    assert layout.blocks == (Block(0, 0, 1),)


def test_without_shifting_only_the_common_start_stays() -> None:
    layout = arrange([1, *range(100, 200)], [1, 7, *range(100, 200), 9], False, Costs())
    assert (layout.kept, layout.moved) == (1, 0)


def test_the_last_token_is_always_evaluated_for_it_is_what_was_asked() -> None:
    assert arrange([1, 2, 3], [1, 2, 3], True, CHEAP).operations[-1] == kv.Evaluate(2, 3)


def test_all_shifts_come_before_the_first_evaluation_so_that_they_are_paid_once() -> None:
    text = list(range(1000, 1200))
    layout = arrange(text, [*text[:50], 7, *text[50:100], 8, *text[100:], 9], True, CHEAP)
    kinds = [type(step) for step in layout.operations]
    assert kv.Shift in kinds
    assert kv.Shift not in kinds[kinds.index(kv.Evaluate) :]


def test_documents_share_the_cache_and_the_one_used_longest_ago_makes_room() -> None:
    cache = Cache(size=100)
    slots = Slots(cache)  # type: ignore[arg-type]
    for number in range(3):
        owner = object()
        slot = slots.take(str(number), owner)
        filled(slots, slot, list(range(40)))
        slots.give(slot, owner)
    assert [slot.name for slot in slots] == ["1", "2"]
    assert len(cache.cells) == 80
