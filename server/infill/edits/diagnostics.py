"""Suggests a jump to an error caused by the last edit; an undefined name may have a quick fix that imports it. Pure."""

from __future__ import annotations

import re

from infill.edits.types import Problem, Situation, Suggestion

LONGEST_MESSAGE = 120
_UNDEFINED = re.compile(
    r"undefined (?:name|variable)|is not defined|cannot find (?:name|symbol|value|function|type|macro)|undefined: |undeclared|use of undeclared"
    r"|unresolved (?:reference|import|name)|is not declared|not found in this scope|implicit declaration|unknown type name",
    re.IGNORECASE,
)
_IMPORT = "import"


def suggest(situation: Situation) -> Suggestion | None:
    """A jump to the nearest new error. On the cursor's line, only an undefined name counts."""
    newest = situation.newest(1)
    if not newest:
        return None
    edited = newest[0]
    found = [one for one in situation.problems if one.error and one.new and 0 <= one.line < len(situation.lines)]
    found = [one for one in found if one.line != situation.cursor[0] or _UNDEFINED.search(one.message)]
    if not found:
        return None
    problem = min(found, key=lambda one: (abs(one.line - edited.first), one.line, one.index))
    return Suggestion(
        kind="jump",
        source="diagnostic",
        reason=f"your edit on line {edited.first + 1} led to an error: {_short(problem)}",
        group=f"diagnostic {problem.message}",
        line=problem.line,
        index=min(problem.index, len(situation.lines[problem.line])),
        fix=_IMPORT if _UNDEFINED.search(problem.message) else "",
    )


def _short(problem: Problem) -> str:
    text = " ".join(problem.message.split())
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."
