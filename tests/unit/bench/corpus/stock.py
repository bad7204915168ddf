"""A small stock list."""

from __future__ import annotations

import re

NAMES = {"bolt": "M8 (zinc)", "nut": "M8", "washer": 'size "large"'}
PATTERN = re.compile(r"(\w+)\s*\[(\d+)\]")


class Stock:
    """How many pieces of each article there are."""

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        self.counts = dict(counts or {})
        self.log: list[str] = []

    def add(self, name: str, count: int = 1) -> int:
        """Add pieces (1 by default) and return how many there are now."""
        if count <= 0:
            raise ValueError(f"count must be positive, not {count}")
        self.counts[name] = self.counts.get(name, 0) + count
        self.log.append(f"{name}: +{count} ({len(self.counts)} articles)")
        return self.counts[name]

    def take(self, name: str, count: int) -> bool:
        # refuse (rather than go below zero)
        if self.counts.get(name, 0) < count:
            return False
        self.counts[name] -= count
        return True


def parse(line: str) -> tuple[str, int]:
    found = PATTERN.match(line.strip())
    if found is None:
        raise ValueError("no article in " + repr(line))
    return found.group(1), int(found.group(2))


def report(stock: Stock, names: list[str]) -> str:
    rows = [f"{name:<10}{stock.counts[name]:>5}" for name in names if name in stock.counts]
    total = sum(stock.counts.get(name, 0) for name in names)
    return "\n".join([*rows, "-" * 15, f"{'total':<10}{total:>5}"])
