"""What of a model's answer is kept: the code, without thinking, fences, chatter and what stands there already, indented for its place.

Each step is pure, works on unfinished answers too, and leaves alone what it does not understand.
"""

from __future__ import annotations

import re
import textwrap

import msgspec

from infill.answers.code import code_of
from infill.completion.postprocess.repetition import once
from infill.generation.place import Place, indent_of

_OPENERS, _CLOSERS = "([{", ")]}"


def without_signature(code: str, before: str) -> str:
    """Drop opening lines that the document already has right above the place (a repeated comment, docstring or signature)."""
    above = [line.strip() for line in before.rstrip().split("\n")[-40:] if line.strip()]
    lines = code.split("\n")
    for count in range(min(len(above), len(lines)), 0, -1):
        head = [line.strip() for line in lines[:count] if line.strip()]
        if head and head == above[-len(head) :]:
            return "\n".join(lines[count:]).strip("\n")
    return code


def without_following(code: str, after: str) -> str:
    """Drop closing lines that the document already has right below the place."""
    below = [line.strip() for line in after.split("\n")[:40] if line.strip()]
    lines = code.rstrip().split("\n")
    for count in range(min(len(below), len(lines) - 1), 0, -1):
        tail = [line.strip() for line in lines[-count:]]
        # a lone closing bracket may well belong to the new code: it is dropped only where it is one too many
        if tail == below[:count] and (count > 1 or len(tail[0]) > 2 or depth("\n".join(lines)) < 0):
            return "\n".join(lines[:-count])
    return code


def depth(code: str) -> int:
    """Opening less closing brackets, outside of nothing: strings are not understood, which errs towards keeping."""
    return sum(code.count(bracket) for bracket in _OPENERS) - sum(code.count(bracket) for bracket in _CLOSERS)


def reindented(code: str, indent: str) -> str:
    """The code with its own common indentation replaced by `indent` on every line that is not blank."""
    lines = textwrap.dedent(_with_first_line_indented(code)).split("\n")
    return "\n".join(indent + line if line.strip() else "" for line in lines)


def _with_first_line_indented(code: str) -> str:
    """Models often start without the indentation that their further lines have: the first line gets that of the least indented other one."""
    first, newline, rest = code.partition("\n")
    others = [indent_of(line) for line in rest.split("\n") if line.strip()]
    opens = first.rstrip().endswith((":", "{", "(", "[", "=>", "then", "do"))
    if not newline or not others or indent_of(first) or opens:
        return code
    return min(others, key=len) + first + newline + rest


def to_whole_statement(code: str) -> str:
    """What a token limit cut short, ended after its last whole statement: brackets closed, no line left hanging."""
    lines = code.split("\n")[:-1]
    while lines and (
        depth("\n".join(lines)) > 0 or not lines[-1].strip() or lines[-1].rstrip().endswith((":", ",", "\\", "=", "+", "and", "or", "(", "{"))
    ):
        lines.pop()
    return "\n".join(lines) or code


ENDLESS = 300
"""Characters of a line from which on repetition within it is no table of numbers any more."""
LONGEST_PERIOD = 60
"""Lines of a block that is looked for again right behind itself."""
LONG_PERIOD, MANY_LETTERS = 6, 16
"""A block with so many lines that say something is a circle when it comes twice; one with so many letters when it comes three times."""


MOST_COUNTED = 30
"""Lines in a row that differ in their numbers only."""
_DIGITS = re.compile(r"[0-9]+")


def runs_in_circles(code: str) -> bool:
    """Whether the last whole lines are a block of lines again and again, or one line goes on so without an end: nothing better will come."""
    line = code[code.rfind("\n") + 1 :]
    if len(line) > ENDLESS and once(line) != line:
        return True
    lines = code.split("\n")[:-1]
    return bool(_counted(lines, len(lines))) or any(
        _turns(lines, len(lines), period) for period in range(1, min(LONGEST_PERIOD, len(lines) // 2) + 1)
    )


def without_circles(code: str) -> str:
    """Ends behind the first turn of a block of lines that comes again and again, and where an endless line begins to repeat itself."""
    lines = code.split("\n")
    if len(lines[-1]) > ENDLESS:
        lines[-1] = once(lines[-1])
    padded = [*lines, "", "", ""]  # blank lines at the end were stripped, and may be part of the block
    for end in range(2, len(padded) + 1):
        for period in range(1, min(LONGEST_PERIOD, end // 2) + 1):
            if turns := _turns(padded, end, period) or (period == 1 and _counted(padded, end)):
                return "\n".join(lines[: end - (turns - 1) * period])
    return "\n".join(lines)


def _turns(lines: list[str], end: int, period: int) -> int:
    """How often the `period` lines before `end` come in a row, where that is often enough for a circle; else 0."""
    block = lines[end - period : end]
    if lines[end - 2 * period : end - period] != block:
        return 0
    letters = sum(character.isalnum() for line in block for character in line)
    telling = sum(any(character.isalnum() for character in line) for line in block)
    needed = 2 if telling >= LONG_PERIOD else 3 if period == 1 or letters >= MANY_LETTERS else 4
    start = end - needed * period
    return needed if letters and start >= 0 and lines[start:end] == block * needed else 0


def _counted(lines: list[str], end: int) -> int:
    """How many lines before `end` differ in their numbers only, blank ones between them, where a model counts without an end; else 0."""
    shape = _DIGITS.sub("0", lines[end - 1]) if end else ""
    if "0" not in shape or not any(character.isalpha() for character in shape):
        return 0
    counted = 0
    for start in range(end - 1, -1, -1):
        if lines[start].strip() and _DIGITS.sub("0", lines[start]) != shape:
            return 0
        counted += bool(lines[start].strip())
        if counted == MOST_COUNTED:
            return end - start
    return 0


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said, and how."""

    text: str
    from_fim: bool
    """It filled in the middle; else it answered in a conversation."""
    language: str = ""
    done: bool = True
    cut_short: bool = False
    """It ended at a limit, not by itself."""


def placed(raw: Raw, place: Place, before: str, after: str) -> str:
    """All steps in order: the text that goes between `before` and `after`, which are the document without what is replaced."""
    # filled in, the code goes on behind the indentation that the prompt ended with; told in a conversation, it has an indentation of its own
    within = bool(before) and not before.endswith("\n") and not place.own_line
    # a model whose tokens begin with a space puts one more behind that indentation
    if raw.from_fim:
        code = place.indent + (raw.text if within else raw.text.lstrip(" \t"))
    else:
        code = code_of(raw.text, raw.language, done=raw.done, wish=place.instruction)
    if raw.cut_short:
        code = to_whole_statement(code)
    code = without_following(without_signature(without_circles(code), before), after)
    if not code.strip():
        return ""
    text = code.strip("\n").rstrip() if raw.from_fim else reindented(code.strip("\n").rstrip(), place.indent)
    if within:
        return text[len(place.indent) :]
    return ("\n" if place.own_line else "") + text + _closing(place, before, after)


def _closing(place: Place, before: str, after: str) -> str:
    """`f() {}` was opened up: its closing brace goes on a line of its own."""
    if place.kind == "signature" and before.endswith("{") and after.startswith("}"):
        return "\n" + indent_of(before.rpartition("\n")[2])
    return ""
