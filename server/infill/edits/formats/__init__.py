"""Prompt formats of next-edit models, by name."""

from __future__ import annotations

from infill.edits.formats.base import Format, Material, Question, Read, Recent
from infill.edits.formats.instruct import Instruct
from infill.edits.formats.sweep import Sweep, SweepCard
from infill.edits.formats.zeta2 import Zeta2
from infill.edits.formats.zeta21 import Zeta21

__all__ = ["FORMATS", "Format", "Material", "Question", "Read", "Recent"]

FORMATS: dict[str, Format] = {each.name: each for each in (Sweep(), SweepCard(), Zeta2(), Zeta21(), Instruct())}
