"""The code in a model's answer, indented for its place, without reasoning, fences, prose and text that the document already has.

Each step is pure, also handles unfinished answers, and leaves text unchanged that it does not recognise.
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
        # a single closing bracket may be part of the new code: drop it only if it is one too many
        if tail == below[:count] and (count > 1 or len(tail[0]) > 2 or depth("\n".join(lines)) < 0):
            return "\n".join(lines[:-count])
    return code


def depth(code: str) -> int:
    """Opening minus closing brackets. Brackets in strings count too; an error keeps text rather than removing it."""
    return sum(code.count(bracket) for bracket in _OPENERS) - sum(code.count(bracket) for bracket in _CLOSERS)


def reindented(code: str, indent: str) -> str:
    """The code with its own common indentation replaced by `indent` on every line that is not blank."""
    lines = textwrap.dedent(_with_first_line_indented(code)).split("\n")
    return "\n".join(indent + line if line.strip() else "" for line in lines)


def _with_first_line_indented(code: str) -> str:
    """Give the first line the smallest indentation of the other lines: models often omit it."""
    first, newline, rest = code.partition("\n")
    others = [indent_of(line) for line in rest.split("\n") if line.strip()]
    opens = first.rstrip().endswith((":", "{", "(", "[", "=>", "then", "do"))
    if not newline or not others or indent_of(first) or opens:
        return code
    return min(others, key=len) + first + newline + rest


def to_whole_statement(code: str) -> str:
    """An answer cut off by the token limit, ended after its last whole statement with balanced brackets."""
    lines = code.split("\n")[:-1]
    while lines and (
        depth("\n".join(lines)) > 0 or not lines[-1].strip() or lines[-1].rstrip().endswith((":", ",", "\\", "=", "+", "and", "or", "(", "{"))
    ):
        lines.pop()
    return "\n".join(lines) or code


ENDLESS = 300
"""Length of a line from which repetition within it is a loop and not a table of numbers."""
LONGEST_PERIOD = 60
"""Maximum number of lines of a block that is compared with the lines right before it."""
LONG_PERIOD, MANY_LETTERS = 6, 16
"""A block with so many lines of letters or digits is a loop if it occurs twice. One with so many letters is a loop if it occurs three times."""


MOST_COUNTED = 30
"""Number of consecutive lines that may differ only in their numbers."""
_DIGITS = re.compile(r"[0-9]+")


def runs_in_circles(code: str) -> bool:
    """Whether the last whole lines are a repeated block, or the last line is an endless repetition. Then generation can stop."""
    line = code[code.rfind("\n") + 1 :]
    if len(line) > ENDLESS and once(line) != line:
        return True
    lines = code.split("\n")[:-1]
    return bool(_counted(lines, len(lines))) or any(
        _turns(lines, len(lines), period) for period in range(1, min(LONGEST_PERIOD, len(lines) // 2) + 1)
    )


def without_circles(code: str) -> str:
    """Cut after the first occurrence of a repeated block of lines, and where an endless line begins to repeat itself."""
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
    """How often the `period` lines before `end` occur in a row, if that is often enough for a loop; else 0."""
    block = lines[end - period : end]
    if lines[end - 2 * period : end - period] != block:
        return 0
    letters = sum(character.isalnum() for line in block for character in line)
    telling = sum(any(character.isalnum() for character in line) for line in block)
    needed = 2 if telling >= LONG_PERIOD else 3 if period == 1 or letters >= MANY_LETTERS else 4
    start = end - needed * period
    return needed if letters and start >= 0 and lines[start:end] == block * needed else 0


def _counted(lines: list[str], end: int) -> int:
    """Number of lines before `end` that differ only in their numbers (with blank lines between them), if the model counts endlessly; else 0."""
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
    """A model's answer and how it was requested."""

    text: str
    from_fim: bool
    """Requested by fill-in-the-middle; False: in a conversation."""
    language: str = ""
    done: bool = True
    cut_short: bool = False
    """Ended by a limit, not by the model."""


def placed(raw: Raw, place: Place, before: str, after: str) -> str:
    """All steps in order: the text between `before` and `after`, the document's text around the replaced part."""
    # a fill-in-the-middle answer follows the indentation that ends the prompt; an answer in a conversation has its own indentation
    within = bool(before) and not before.endswith("\n") and not place.own_line
    # a model whose tokens begin with a space adds one after that indentation
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
    """The closing brace of `f() {}` on its own line, because its body now has lines."""
    if place.kind == "signature" and before.endswith("{") and after.startswith("}"):
        return "\n" + indent_of(before.rpartition("\n")[2])
    return ""
