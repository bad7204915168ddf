"""CPU time of one suggestion in a long file after renaming functions, classes, imports, parameters and locals.

It is the CPU time of the process, so that other programs do not affect it. Each edit changes the text, so that caches of earlier texts do not help.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import msgspec

from infill.bench.next_edits import Player

ROUNDS = 20
BLOCK = '''class Shape{n}:
    """A shape with "{n}" sides, and what it's called."""

    def area{n}(self, width, height):
        # width and height are lengths
        result{n} = width * height  # an area
        return self.scale("area {n}", result{n})


def use{n}(shapes):
    import tools{n} as helper{n}
    found = [shape.area{n}(1, 2) for shape in shapes if shape.name == 'Shape{n}']
    return helper{n}.total(found, Shape{n}(), f"{{found}}")


'''
RENAMED = {"class": "Shape0", "function": "use0", "import": "helper0", "parameter": "width", "local": "result0"}
TAIL = "last = use0(Shape0())"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one kind of renamed name, in milliseconds of CPU time."""

    kind: str
    lines: int
    shown: int
    """Number of rounds with a suggestion."""
    median: float
    most: float


def text(lines: int) -> list[str]:
    """Source code with about this many lines."""
    size = BLOCK.count("\n")
    return [*"".join(BLOCK.format(n=number) for number in range(lines // size)).split("\n"), TAIL]


def costs(lines: int) -> list[Cost]:
    """Measure the cost for each kind of renamed name."""
    before = text(lines)
    return [_cost(kind, name, before) for kind, name in RENAMED.items()]


def _cost(kind: str, name: str, before: Sequence[str]) -> Cost:
    times, shown = [], 0
    line = next(number for number, text in enumerate(before) if name in text)
    for number in range(ROUNDS):
        player = Player(before, "python")
        player.replace(line, line + 1, [before[line].replace(name, f"renamed{number}", 1)])
        begun = time.process_time()
        shown += player.suggestion() is not None
        times.append(1000 * (time.process_time() - begun))
    return Cost(kind=kind, lines=len(before), shown=shown, median=statistics.median(times), most=max(times))


COLUMNS = ["renamed", "lines", "suggestions", "median ms", "most ms"]


def cells(cost: Cost) -> list[str]:
    return [cost.kind, str(cost.lines), f"{cost.shown} of {ROUNDS}", f"{cost.median:.1f}", f"{cost.most:.1f}"]
