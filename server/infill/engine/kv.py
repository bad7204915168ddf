"""Which parts of a slot's KV cache can be reused for the next prompt, and the operations for that. Pure: tokens in, operations out.

The cache before and after a keystroke, in prefix-suffix-middle order; `x` is the typed text:

    position   0    1 .. 40   41   42 .. 90  91
    cached     PRE  prefix    SUF  suffix    MID generated...
    wanted     PRE  prefix x  SUF  suffix    MID
               keep           move by 1      evaluate: x, MID

llama.cpp evaluates tokens only after the last position of a sequence. So all cells after an insertion are first moved out of the slot's sequence and
shifted. `CARRY` holds one block during its shift, `PARKED` holds all blocks until they are moved back. Then the gaps are evaluated from left to
right, and each parked block returns after its gap. All shifts come before the first evaluation: llama.cpp applies them together, at a cost
independent of the number of cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

SLOT, CARRY, PARKED = 0, 1, 2
"""Sequences in operations: the slot's own, and two that are empty between plans."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Costs, in tokens evaluated in a large batch."""

    call: float = 4.0
    """Of one more batch."""
    shift: float = 8.0
    """Of applying shifts, for any number of cells."""
    inexact: float = 8.0
    """Of keeping cells after a change: they were evaluated after other tokens, so their values are approximate. They are kept only if that saves
    more."""
    block: int = 12
    """Minimum number of consecutive equal tokens for a block inside the changed part to count as moved: shorter ones match by chance."""


class Block(msgspec.Struct, frozen=True):
    """Cached tokens that are kept: `cached[source : source + length]` becomes `wanted[target : target + length]`."""

    source: int
    target: int
    length: int

    @property
    def by(self) -> int:
        return self.target - self.source


class Remove(msgspec.Struct, frozen=True):
    sequence: int
    start: int
    end: int


class Copy(msgspec.Struct, frozen=True):
    source: int
    target: int
    start: int
    end: int


class Shift(msgspec.Struct, frozen=True):
    sequence: int
    start: int
    end: int
    by: int


class Evaluate(msgspec.Struct, frozen=True):
    """Evaluate `wanted[start:end]` in the slot's sequence."""

    start: int
    end: int


Operation = Remove | Copy | Shift | Evaluate


class Layout(msgspec.Struct, frozen=True):
    """The cached blocks that are kept, and the operations that produce the wanted sequence."""

    blocks: tuple[Block, ...]
    operations: tuple[Operation, ...]
    kept: int
    moved: int
    """Number of kept tokens whose position changes."""


def arrange(cached: Sequence[int], wanted: Sequence[int], can_shift: bool, costs: Costs) -> Layout:
    """The cheapest way from `cached` to `wanted`. The last token is always evaluated, for its logits."""
    usable = wanted[:-1]
    same = common_prefix(cached, usable)
    start: tuple[Block, ...] = (Block(0, 0, same),) if same else ()
    blocks = start
    if can_shift and same < len(usable) and same < len(cached):
        moved = (*start, *_changed(cached, usable, same, costs.block))
        if _price(moved, len(wanted), costs) < _price(start, len(wanted), costs):
            blocks = _joined(moved)
    return Layout(
        blocks,
        tuple(operations(blocks, len(cached), len(wanted))),
        sum(block.length for block in blocks),
        sum(block.length for block in blocks if block.by),
    )


def _price(blocks: Sequence[Block], wanted: int, costs: Costs) -> float:
    gaps, position = 0, 0
    for block in blocks:
        gaps += block.target > position
        position = block.target + block.length
    evaluated = wanted - sum(block.length for block in blocks)
    behind_a_change = any(block.source or block.target for block in blocks)
    return evaluated + costs.call * (gaps + 1) + costs.shift * any(block.by for block in blocks) + costs.inexact * behind_a_change


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of equal tokens from the start. Compares slices first: that runs in C."""
    limit = min(len(left), len(right))
    position = 0
    for step in (256, 16, 1):
        while position + step <= limit and left[position : position + step] == right[position : position + step]:
            position += step
    return position


def _common_suffix(left: Sequence[int], right: Sequence[int], limit: int) -> int:
    position = 0
    for step in (256, 16, 1):
        while position + step <= limit:
            a, b = len(left) - position, len(right) - position
            if left[a - step : a] != right[b - step : b]:
                break
            position += step
    return position


def _changed(cached: Sequence[int], usable: Sequence[int], same: int, run: int) -> list[Block]:
    """Blocks after the common start: the common end, and moved blocks between the two."""
    tail = _common_suffix(cached, usable, min(len(cached), len(usable)) - same)
    blocks = _anchored(cached[: len(cached) - tail], usable[: len(usable) - tail], same, run)
    if tail:
        blocks.append(Block(len(cached) - tail, len(usable) - tail, tail))
    return blocks


def _anchored(cached: Sequence[int], usable: Sequence[int], start: int, run: int) -> list[Block]:
    """Blocks of at least `run` tokens that are in both from `start` on, in the same order."""
    if min(len(cached), len(usable)) - start < run:
        return []
    places: dict[tuple[int, ...], int] = {}
    for i in range(len(cached) - run, start - 1, -1):
        places[tuple(cached[i : i + run])] = i
    blocks: list[Block] = []
    source, target = start, start
    while target + run <= len(usable):
        found = places.get(tuple(usable[target : target + run]), -1)
        if found < source:
            target += 1
            continue
        length = common_prefix(cached[found:], usable[target:])
        blocks.append(Block(found, target, length))
        source, target = found + length, target + length
    return blocks


def _joined(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Merge adjacent blocks."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if last and last.source + last.length == block.source and last.target + last.length == block.target:
            joined[-1] = Block(last.source, last.target, last.length + block.length)
        else:
            joined.append(block)
    return tuple(joined)


def operations(blocks: Sequence[Block], cached: int, wanted: int) -> list[Operation]:
    """The operations, in order, that change a slot of `cached` tokens to `wanted` tokens while `blocks` are kept."""
    stay = blocks[0].length if blocks and blocks[0].source == blocks[0].target == 0 else 0
    travelling = blocks[1:] if stay else blocks
    steps: list[Operation] = []
    for block in travelling:
        steps += _park(block)
    if stay < cached:
        steps.append(Remove(SLOT, stay, -1))
    position = stay
    for block in travelling:
        if block.target > position:
            steps.append(Evaluate(position, block.target))
        position = block.target + block.length
        steps += [Copy(PARKED, SLOT, block.target, position), Remove(PARKED, block.target, position)]
    if position < wanted:
        steps.append(Evaluate(position, wanted))
    return steps


def _park(block: Block) -> list[Operation]:
    if not block.by:
        end = block.source + block.length
        return [Copy(SLOT, PARKED, block.source, end), Remove(SLOT, block.source, end)]
    source_end, target_end = block.source + block.length, block.target + block.length
    return [
        Copy(SLOT, CARRY, block.source, source_end),
        Remove(SLOT, block.source, source_end),
        Shift(CARRY, block.source, source_end, block.by),
        Copy(CARRY, PARKED, block.target, target_end),
        Remove(CARRY, 0, -1),
    ]


def rescue(blocks: Sequence[Block], done: int) -> tuple[list[Operation], list[Block]]:
    """After an aborted evaluation with `done` tokens in the slot: move the blocks that are still parked back, right after them.

    Returns the operations, and the blocks with their new targets: what the slot holds after its first `done` tokens.
    """
    steps: list[Operation] = []
    rescued: list[Block] = []
    position = done
    for block in blocks:
        if block.target < done:
            continue
        end = block.target + block.length
        moved = Block(block.target, position, block.length)
        steps += [Copy(PARKED, CARRY, block.target, end), Remove(PARKED, block.target, end)]
        if moved.by:
            steps.append(Shift(CARRY, block.target, end, moved.by))
        steps += [Copy(CARRY, SLOT, position, position + block.length), Remove(CARRY, 0, -1)]
        rescued.append(moved)
        position += block.length
    return steps, rescued
