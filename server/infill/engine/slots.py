"""Who has which part of the KV cache: one slot per document and editor, least recently used first to go. Runs the plans of `kv`.

The books (`Slot.tokens`) always say what the cache really holds: also after a batch that was given up, and after a caller that went away half-way.
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
"""Sequences for candidates beside the first, shared by all slots."""
CARRY = 0
SEQUENCES = 1 + 2 * SLOTS + BRANCHES
"""Each costs a row of logits: 0.6 MB with a vocabulary of 150,000."""
SMALL = 8
"""Tokens of a batch that must not be given up (it applies shifts): few, so that it is over soon."""


RESTLESS = 2.0
"""Seconds after a step was given up during which the next ones are short: somebody types, and what is given up is lost whole."""
WORTH = 64
"""Tokens that another slot must hold beyond the own one to be worth taking over."""
BEGINNING = 16
"""The same where only its first tokens are copied: that takes less time than evaluating two tokens."""


class Plan:
    """What a slot is on its way to."""

    def __init__(self, layout: kv.Layout, wanted: Sequence[int]) -> None:
        self.layout = layout
        self.wanted = wanted


class Did(NamedTuple):
    """One step of a plan."""

    tokens: int
    """Evaluated; 0: it was given up."""
    shifted: bool
    """It applied shifts too."""


MANY_MOVES = 16
"""A slot that was moved so often is evaluated anew when nobody asks: each move leaves what was moved a little behind what now stands before it."""


class Slot:
    """One document's share of the cache."""

    def __init__(self, index: int) -> None:
        self.sequence = 1 + 2 * index
        self.parked = 2 + 2 * index
        self.name = ""
        self.tokens: list[int] = []
        self.exact = 0
        """So many of the first tokens were evaluated behind just what stands before them now; the rest was moved, or stands behind such."""
        self.moved = 0
        """Times that tokens were moved since all of them were exact."""
        self.used = 0
        self.closed = False
        self.owner: object | None = None
        """Who works on it now; a newer owner takes it away from an older one."""
        self.suffix: Sequence[int] = ()
        """The part after the cursor that it was last asked with."""
        self.pending: Plan | None = None
        """Being carried out: some blocks may be parked."""
        self.refreshing: object | None = None
        """Being evaluated anew, in `parked`."""
        self.logits: Logits | None = None
        """What follows `tokens`, where that is known: the same question again needs no evaluation."""


class Branches:
    """Empty sequences, lent for candidates beside the first."""

    def __init__(self, context: Context, free: list[int]) -> None:
        self._context, self._free = context, free
        self._lent: list[int] = []

    def take(self) -> int | None:
        """One more; None when all are lent."""
        if not self._free:
            return None
        self._lent.append(self._free.pop())
        return self._lent[-1]

    def give_back(self) -> None:
        """All that were taken."""
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
        """Prompt tokens put through the model since it was loaded, for whomever and whatever it was."""
        self._given_up = -RESTLESS
        self.chunk: Callable[[bool], int] = lambda restless: min(64, context.largest_batch)
        """Prompt tokens to evaluate in one step, when nothing and when something was given up lately."""
        """Tokens of a step at most."""

    def __iter__(self) -> Iterator[Slot]:
        return (slot for slot in self._slots if slot.name)

    def take(self, name: str, owner: object) -> Slot:
        """The document's slot, or the one that was not used for longest. Pinned until `give`."""
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
        """Work on it is over."""
        if slot.owner is owner:
            slot.owner = None

    def forget(self, name: str) -> None:
        """The document was closed: its slot goes first when room is needed, but serves while it is there."""
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
        """Empty the slot that is missed least; False where all others are empty or at work."""
        others = [other for other in self._slots if other is not slot and other.tokens and other.owner is None]
        if not others:
            return False
        self._empty(min(others, key=lambda other: (not other.closed, other.used)))
        return True

    def borrow(self, slot: Slot, wanted: Sequence[int], can_shift: bool, costs: kv.Costs) -> str:
        """Where another slot holds much more of what is wanted, take it over or copy it; returns what was done, for people.

        That is the case of a document that was renamed, opened in a second window, or closed and opened again by another editor; and of prompts
        that begin alike, as all instructions to a chat model do.
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
        """Copy the first tokens of another slot, where those are evaluated behind just what they are wanted behind."""
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
        """True copies of its cells: shared ones could not be moved independently."""
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
        """Drop what the slot holds from `length` on."""
        self._context.remove(slot.sequence, length)
        del slot.tokens[length:]
        slot.exact = min(slot.exact, length)

    def fill(self, slot: Slot, wanted: Sequence[int], layout: kv.Layout) -> Iterator[Did]:
        """Make the slot hold `wanted`, a chunk at each step.

        Ends early, with nothing to clean up, when somebody else takes the slot in between.
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
        """A plan was left half-way: bring back what is still parked, right behind what is done."""
        if (plan := slot.pending) is None:
            return
        slot.pending = None
        steps, rescued = kv.rescue(plan.layout.blocks, len(slot.tokens))
        slot.exact = min(slot.exact, len(slot.tokens))
        for step in steps:
            self._apply(slot, (), step)
        for block in rescued:
            slot.tokens.extend(plan.wanted[block.source : block.source + block.length])

    # -- evaluating anew

    def worn(self, quick: int) -> Slot | None:
        """A slot that is worth evaluating anew, if there is room beside it: moved MANY times, or at most `quick` tokens."""
        free = self._context.size - sum(len(slot.tokens) for slot in self._slots)
        able = []
        for slot in self:
            inexact = len(slot.tokens) - slot.exact
            wanted = slot.moved >= MANY_MOVES or 0 < inexact <= quick
            if wanted and inexact <= free and not slot.closed and slot.owner is None:
                able.append(slot)
        return max(able, key=lambda slot: slot.used, default=None)

    def refresh(self, slot: Slot) -> Iterator[None]:
        """Evaluate all that is not exact anew, beside what serves meanwhile; then let it take that one's place."""
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
