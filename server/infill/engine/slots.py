"""Assigns parts of the KV cache: one slot per document and client, the least recently used is reused first. Runs the plans of `kv`.

`Slot.tokens` always equals the content of the cache, also after an aborted batch, and after a generator that was closed early.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from infill.engine import kv
from infill.engine.llama import Aborted, CacheFull, Context, Logits
from infill.errors import InfillError

SLOTS = 12
BRANCHES = 4
"""Sequences for the candidates after the first, shared by all slots."""
CARRY = 0
SEQUENCES = 1 + 2 * SLOTS + BRANCHES
"""Each costs a row of logits: 0.6 MB with a vocabulary of 150,000."""
SMALL = 8
"""Tokens of a batch that cannot be aborted because it applies shifts: few, so that it is short."""


RESTLESS = 2.0
"""Seconds after an abort during which steps are short: the user is typing, and an aborted step is lost completely."""
WORTH = 64
"""Minimum number of additional wanted tokens for another slot to be taken over."""
BEGINNING = 16
"""The same if only its first tokens are copied: that takes less time than evaluating two tokens."""


class Plan:
    """The target content of a slot, while it is being filled."""

    def __init__(self, layout: kv.Layout, wanted: Sequence[int]) -> None:
        self.layout = layout
        self.wanted = wanted


class Did(NamedTuple):
    """One step of a plan."""

    tokens: int
    """Number of evaluated tokens; 0 if the step was aborted."""
    shifted: bool
    """It also applied shifts."""


MANY_MOVES = 16
"""Number of moves after which a slot is evaluated again when idle: with each move, its values become less exact."""


class Slot:
    """One document's share of the cache."""

    def __init__(self, index: int) -> None:
        self.sequence = 1 + 2 * index
        self.parked = 2 + 2 * index
        self.name = ""
        self.tokens: list[int] = []
        self.exact = 0
        """Number of first tokens that were evaluated after exactly the current tokens before them. The others were moved, or follow moved ones."""
        self.moved = 0
        """How often tokens were moved since all of them were exact."""
        self.used = 0
        self.closed = False
        self.owner: object | None = None
        """The request that uses it; a newer one takes it away from an older one."""
        self.suffix: Sequence[int] = ()
        """The suffix of its last request."""
        self.pending: Plan | None = None
        """The plan being run: some blocks may be parked."""
        self.refreshing: object | None = None
        """The refresh being run, in sequence `parked`."""
        self.logits: Logits | None = None
        """The logits after `tokens`, if known: the same prompt needs no evaluation then."""


class Branches:
    """Empty sequences, lent for the candidates after the first."""

    def __init__(self, context: Context, free: list[int]) -> None:
        self._context, self._free = context, free
        self._lent: list[int] = []

    def take(self) -> int | None:
        """Another sequence; None if all are lent."""
        if not self._free:
            return None
        self._lent.append(self._free.pop())
        return self._lent[-1]

    def give_back(self) -> None:
        """Return all sequences."""
        for sequence in self._lent:
            self._context.remove(sequence)
        self._free += self._lent
        self._lent = []


class Slots:
    """All slots of one context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._slots = [Slot(index) for index in range(SLOTS)]
        self._free_branches = [1 + 2 * SLOTS + i for i in range(BRANCHES)]
        self._clock = 0
        self.evaluated = 0
        """Prompt tokens evaluated since the model was loaded, for all purposes."""
        self._given_up = -RESTLESS
        self.chunk: Callable[[bool], int] = lambda restless: min(64, context.largest_batch)
        """Prompt tokens to evaluate in one step; its argument is whether a step was aborted recently."""

    def __iter__(self) -> Iterator[Slot]:
        return (slot for slot in self._slots if slot.name)

    def take(self, name: str, owner: object) -> Slot:
        """The document's slot, or else the least recently used one. Pinned until `give`."""
        slot = next((slot for slot in self._slots if slot.name == name), None) or self._unused()
        self._rescue(slot)
        self._stop_refreshing(slot)
        if slot.name != name:
            self._empty(slot)
            slot.name = name
        self._clock += 1
        slot.used, slot.owner, slot.closed = self._clock, owner, False
        return slot

    def give(self, slot: Slot, owner: object) -> None:
        """The request no longer uses the slot."""
        if slot.owner is owner:
            slot.owner = None

    def forget(self, name: str) -> None:
        """The document was closed: its slot is the first to be reused, but keeps its content until then."""
        for slot in self._slots:
            if slot.name == name:
                slot.closed = True

    def _unused(self) -> Slot:
        return min(self._slots, key=lambda slot: (slot.owner is not None, bool(slot.name), not slot.closed, slot.used))

    def _empty(self, slot: Slot) -> None:
        self._empty_cells(slot)
        slot.moved, slot.name, slot.owner, slot.suffix = 0, "", None, ()

    def make_room(self, wanted: int, slot: Slot) -> None:
        """Empty other slots until `slot` can hold `wanted` tokens."""
        while sum(len(other.tokens) for other in self._slots if other is not slot) + wanted > self._context.size:
            if not self._evict(slot):
                return

    def _evict(self, slot: Slot) -> bool:
        """Empty the least useful other slot; False if all others are empty or in use."""
        others = [other for other in self._slots if other is not slot and other.tokens and other.owner is None]
        if not others:
            return False
        self._empty(min(others, key=lambda other: (not other.closed, other.used)))
        return True

    def borrow(self, slot: Slot, wanted: Sequence[int], can_shift: bool, costs: kv.Costs) -> str:
        """If another slot holds many more of the wanted tokens, take it over or copy it. Returns a note on that.

        This happens when a document was renamed, opened in a second window, or closed and opened again by another client. It also happens with
        prompts that begin alike, such as all instructions to a chat model.
        """
        if self._context.shift_pending:
            return ""
        own = kv.arrange(slot.tokens, wanted, can_shift, costs).kept
        best, most, moves = None, own + WORTH, False
        for other in self._slots:
            if other is slot or len(other.tokens) < most or other.pending or other.refreshing:
                continue
            found = kv.arrange(other.tokens, wanted, can_shift, costs)
            if found.kept > most:
                best, most, moves = other, found.kept, found.moved > 0
        if can_shift and (best is None or not (moves or best.closed or best.exact < most)):
            return self._copy_beginning(slot, wanted, own)
        if best is None:
            return ""
        if best.closed and best.owner is None:
            self._empty_cells(slot)
            slot.sequence, best.sequence, slot.parked, best.parked = best.sequence, slot.sequence, best.parked, slot.parked
            slot.tokens, slot.exact, slot.moved = best.tokens, best.exact, best.moved
            best.tokens, best.logits, best.name = [], None, ""
            return "taken over from a closed document"
        self._make_copy(best, slot)
        return "copied from another window"

    def _copy_beginning(self, slot: Slot, wanted: Sequence[int], own: int) -> str:
        """Copy the first tokens of another slot, if they are exact and equal to the wanted ones."""
        others = [other for other in self._slots if other is not slot and not other.pending and not other.refreshing]
        same = [min(other.exact, kv.common_prefix(other.tokens, wanted)) for other in others]
        length = max(same, default=0)
        if length < own + BEGINNING:
            return ""
        source = others[same.index(length)]
        owner, source.owner = source.owner, source.owner or self
        self._empty_cells(slot)
        self.make_room(length, slot)
        self._context.copy(source.sequence, slot.parked, 0, length)
        cells = self._context.save(slot.parked)
        self._context.remove(slot.parked)
        if self._context.restore(slot.sequence, cells):
            slot.tokens, slot.exact, slot.moved = list(wanted[:length]), length, 0
        source.owner = owner
        return f"{length} tokens copied from another document"

    def _make_copy(self, source: Slot, target: Slot) -> None:
        """Copy its cells: shared cells could not be moved independently."""
        owner, source.owner = source.owner, source.owner or self
        self._empty_cells(target)
        self.make_room(len(source.tokens), target)
        if self._context.restore(target.sequence, self._context.save(source.sequence)):
            target.tokens, target.exact, target.moved = list(source.tokens), source.exact, source.moved
        source.owner = owner

    def _empty_cells(self, slot: Slot) -> None:
        self._context.remove(slot.sequence)
        self._context.remove(slot.parked)
        slot.tokens, slot.exact, slot.logits, slot.refreshing = [], 0, None, None

    def branches(self) -> Branches:
        """Sequences for the candidates of one request."""
        return Branches(self._context, self._free_branches)

    # -- running plans

    def cut(self, slot: Slot, length: int) -> None:
        """Remove the slot's tokens from `length` on."""
        self._context.remove(slot.sequence, length)
        del slot.tokens[length:]
        slot.exact = min(slot.exact, length)

    def fill(self, slot: Slot, wanted: Sequence[int], layout: kv.Layout) -> Iterator[Did]:
        """Make the slot hold `wanted`, one chunk per step.

        Ends early, with nothing to clean up, if another request takes the slot in between.
        """
        self.make_room(len(wanted), slot)
        slot.logits = None
        self._note_exactness(slot, layout, len(wanted))
        slot.pending = plan = Plan(layout, wanted)
        try:
            for step in layout.operations:
                if isinstance(step, kv.Evaluate):
                    yield from self._evaluate(slot, plan, step)
                    if slot.pending is not plan:
                        return
                else:
                    self._apply(slot, wanted, step)
            slot.pending = None
        finally:
            if slot.pending is plan:
                self._rescue(slot)

    def _note_exactness(self, slot: Slot, layout: kv.Layout, wanted: int) -> None:
        stays = layout.blocks[0].length if layout.blocks and not layout.blocks[0].target and not layout.blocks[0].source else 0
        moving = next((block.target for block in layout.blocks if block.source or block.target), wanted)
        slot.exact = slot.exact if slot.exact < stays else moving
        slot.moved = slot.moved + bool(layout.moved) if slot.exact < wanted else 0

    def _apply(self, slot: Slot, wanted: Sequence[int], step: kv.Operation) -> None:
        place = {kv.SLOT: slot.sequence, kv.CARRY: CARRY, kv.PARKED: slot.parked}
        if isinstance(step, kv.Remove):
            self._context.remove(place[step.sequence], step.start, step.end)
            if step.sequence == kv.SLOT and step.end < 0:
                del slot.tokens[step.start :]
        elif isinstance(step, kv.Shift):
            self._context.shift(place[step.sequence], step.start, step.end, step.by)
        elif isinstance(step, kv.Copy):
            self._context.copy(place[step.source], place[step.target], step.start, step.end)
            if (step.source, step.target) == (kv.PARKED, kv.SLOT):
                slot.tokens.extend(wanted[step.start : step.end])

    def _evaluate(self, slot: Slot, plan: Plan, step: kv.Evaluate) -> Iterator[Did]:
        position, wanted = step.start, plan.wanted
        while position < step.end and slot.pending is plan:
            shifts = self._context.shift_pending
            end = min(step.end, position + (SMALL if shifts else self._step()))
            try:
                self._context.decode(wanted[position:end], position, slot.sequence, int(end == len(wanted)))
            except Aborted:
                self._given_up = time.monotonic()
                yield Did(0, False)
                continue
            except CacheFull:
                if not self._evict(slot):
                    raise InfillError("The KV cache is too small for this prompt.", "Raise `engine.contextSize`.") from None
                continue
            self.evaluated += end - position
            slot.tokens.extend(wanted[position:end])
            yield Did(end - position, shifts)
            position = end

    def _step(self) -> int:
        return self.chunk(time.monotonic() - self._given_up < RESTLESS)

    def _rescue(self, slot: Slot) -> None:
        """After an interrupted plan: move the parked blocks back, right after the completed tokens."""
        if (plan := slot.pending) is None:
            return
        slot.pending = None
        steps, rescued = kv.rescue(plan.layout.blocks, len(slot.tokens))
        slot.exact = min(slot.exact, len(slot.tokens))
        for step in steps:
            self._apply(slot, (), step)
        for block in rescued:
            slot.tokens.extend(plan.wanted[block.source : block.source + block.length])

    # -- refreshing

    def worn(self, quick: int) -> Slot | None:
        """A slot worth a refresh, if there is room next to it: moved MANY_MOVES times, or with at most `quick` inexact tokens."""
        free = self._context.size - sum(len(slot.tokens) for slot in self._slots)
        able = []
        for slot in self:
            inexact = len(slot.tokens) - slot.exact
            wanted = slot.moved >= MANY_MOVES or 0 < inexact <= quick
            if wanted and inexact <= free and not slot.closed and slot.owner is None:
                able.append(slot)
        return max(able, key=lambda slot: slot.used, default=None)

    def refresh(self, slot: Slot) -> Iterator[None]:
        """Evaluate all inexact tokens again in a second sequence, while the first stays usable; then replace it."""
        mine = slot.refreshing = object()
        tokens, position = slot.tokens, slot.exact
        self._context.copy(slot.sequence, slot.parked, 0, position)
        try:
            while position < len(tokens):
                end = min(len(tokens), position + (SMALL if self._context.shift_pending else self._step()))
                try:
                    self._context.decode(tokens[position:end], position, slot.parked, int(end == len(tokens)))
                    self.evaluated += end - position
                    position = end
                except Aborted:
                    pass
                except CacheFull:
                    return
                if position < len(tokens):
                    yield
                    if slot.refreshing is not mine:
                        return
            slot.logits = self._context.logits(-1).copy()
            self._context.remove(slot.sequence)
            slot.sequence, slot.parked, slot.exact, slot.moved = slot.parked, slot.sequence, len(tokens), 0
        finally:
            if slot.refreshing is mine:
                self._stop_refreshing(slot)

    def _stop_refreshing(self, slot: Slot) -> None:
        if slot.refreshing is not None:
            slot.refreshing = None
            self._context.remove(slot.parked)
