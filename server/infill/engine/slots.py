"""Who has which part of the KV cache: one slot per document and editor, least recently used first to go. Runs the plans of `kv`.

The books (`Slot.tokens`) always say what the cache really holds: also after a batch that was given up, and after a caller that went away half-way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from infill.engine import kv
from infill.engine.llama import Aborted, CacheFull, Context
from infill.errors import InfillError

SLOTS = 12
BRANCHES = 4
"""Sequences for candidates beside the first, shared by all slots."""
CARRY = 0
SEQUENCES = 1 + 2 * SLOTS + BRANCHES
"""Each costs a row of logits: 0.6 MB with a vocabulary of 150,000."""
SMALL = 8
"""Tokens of a batch that must not be given up (it applies shifts): few, so that it is over soon."""


class Plan(NamedTuple):
    """What a slot is on its way to."""

    layout: kv.Layout
    wanted: Sequence[int]


class Slot:
    """One document's share of the cache."""

    def __init__(self, index: int) -> None:
        self.sequence = 1 + 2 * index
        self.parked = 2 + 2 * index
        self.name = ""
        self.tokens: list[int] = []
        self.moved = 0
        """Times that tokens were moved since the slot was last evaluated whole."""
        self.used = 0
        self.closed = False
        self.owner: object | None = None
        """Who works on it now; a newer owner takes it away from an older one."""
        self.suffix: Sequence[int] = ()
        """The part after the cursor that it was last asked with."""
        self.pending: Plan | None = None
        """Being carried out: some blocks may be parked."""


class Slots:
    """All slots of one context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._slots = [Slot(index) for index in range(SLOTS)]
        self._free_branches = [1 + 2 * SLOTS + i for i in range(BRANCHES)]
        self._clock = 0

    def __iter__(self) -> Iterator[Slot]:
        return (slot for slot in self._slots if slot.name)

    def take(self, name: str, owner: object) -> Slot:
        """The document's slot, or the one that was not used for longest. Pinned until `give`."""
        slot = next((slot for slot in self._slots if slot.name == name), None) or self._unused()
        self._rescue(slot)
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
        self._context.remove(slot.sequence)
        self._context.remove(slot.parked)
        slot.tokens, slot.moved, slot.name, slot.owner, slot.suffix = [], 0, "", None, ()

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

    def take_branch(self) -> int | None:
        """An empty sequence for one more candidate."""
        return self._free_branches.pop() if self._free_branches else None

    def give_branch(self, sequence: int) -> None:
        self._context.remove(sequence)
        self._free_branches.append(sequence)

    # -- running plans

    def cut(self, slot: Slot, length: int) -> None:
        """Drop what the slot holds from `length` on."""
        self._context.remove(slot.sequence, length)
        del slot.tokens[length:]

    def fill(self, slot: Slot, wanted: Sequence[int], layout: kv.Layout, chunk: int) -> Iterator[int]:
        """Make the slot hold `wanted`; each step evaluates a chunk and yields its size, 0 for one that was given up.

        Ends early, with nothing to clean up, when somebody else takes the slot in between.
        """
        self.make_room(len(wanted), slot)
        slot.moved += bool(layout.moved)
        slot.pending = plan = Plan(layout, wanted)
        try:
            for step in layout.operations:
                if isinstance(step, kv.Evaluate):
                    yield from self._evaluate(slot, plan, step, chunk)
                    if slot.pending is not plan:
                        return
                else:
                    self._apply(slot, wanted, step)
            slot.pending = None
        finally:
            if slot.pending is plan:
                self._rescue(slot)

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

    def _evaluate(self, slot: Slot, plan: Plan, step: kv.Evaluate, chunk: int) -> Iterator[int]:
        position, wanted = step.start, plan.wanted
        while position < step.end and slot.pending is plan:
            end = min(step.end, position + (SMALL if self._context.shift_pending else chunk))
            try:
                self._context.decode(wanted[position:end], position, slot.sequence, int(end == len(wanted)))
            except Aborted:
                yield 0
                continue
            except CacheFull:
                if not self._evict(slot):
                    raise InfillError("The KV cache is too small for this prompt.", "Raise `engine.contextSize`.") from None
                continue
            slot.tokens.extend(wanted[position:end])
            yield end - position
            position = end

    def _rescue(self, slot: Slot) -> None:
        """A plan was left half-way: bring back what is still parked, right behind what is done."""
        if (plan := slot.pending) is None:
            return
        slot.pending = None
        steps, rescued = kv.rescue(plan.layout.blocks, len(slot.tokens))
        for step in steps:
            self._apply(slot, (), step)
        for block in rescued:
            slot.tokens.extend(plan.wanted[block.source : block.source + block.length])
