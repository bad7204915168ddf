"""Targets and measured values: the rows of `infill bench figures` and `infill bench table`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One target."""

    what: str
    measured: float
    unit: str = ""
    target: float
    at_least: bool = False
    """The target is a lower bound; else an upper one."""
    note: str = ""
    """Details: what was compared, and other observations."""
    unknown: str = ""
    """Why there is no value; empty if there is one."""

    @property
    def met(self) -> bool:
        if self.unknown:
            return False
        return self.measured >= self.target if self.at_least else self.measured <= self.target


COLUMNS = ("what", "target", "measured", "", "how")


def cells(row: Row) -> list[str]:
    bound = f"{'at least' if row.at_least else 'at most'} {number(row.target)}{_unit(row)}"
    if row.unknown:
        return [row.what, bound, "-", row.unknown, row.note]
    return [row.what, bound, f"{number(row.measured)}{_unit(row)}", "met" if row.met else "missed", row.note]


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table for docs/develop/performance.md."""
    lines = ["| what | target | measured | | how |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """The number with three significant digits, without trailing zeros."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _unit(row: Row) -> str:
    return f" {row.unit}" if row.unit else ""
