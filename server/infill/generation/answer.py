"""What of a model's answer is kept: the code, without thinking, fences, chatter and what stands there already, indented for its place.

Each step is pure, works on unfinished answers too, and leaves alone what it does not understand.
"""

from __future__ import annotations

import re
import textwrap

from infill.completion.postprocess.repetition import once
from infill.generation.place import Place, indent_of

_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>\s*|\Z)", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:\n[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_CHATTER = re.compile(
    r"^(?:sure|certainly|of course|here(?:'s| is| are)|okay|ok|the following|below is|this (?:code|function))\b[^\n]*[:!.]\s*$", re.IGNORECASE
)
_OPENERS, _CLOSERS = "([{", ")]}"


def code_of(raw: str) -> str:
    """The code in an answer: the longest fenced block if there is one, else everything after thinking and opening chatter."""
    text = _THINKING.sub("", raw.replace("\r\n", "\n"))
    if blocks := [match[2] for match in _FENCE.finditer(text)]:
        return max(blocks, key=len).strip("\n")
    lines = text.strip("\n").split("\n")
    while lines and (not lines[0].strip() or _CHATTER.match(lines[0].strip())):
        lines.pop(0)
    # a fence whose first line is still being written shows nothing yet
    return "" if lines and re.match(r"\s*(`{1,}|~{3,})", lines[0]) and len(lines) == 1 else "\n".join(lines)


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


MOST_REPEATS = 3
"""The same line so many times in a row is a model running in circles; closing brackets and blank lines may."""

ENDLESS = 300
"""Characters of a line from which on repetition within it is no table of numbers any more."""


def runs_in_circles(code: str) -> bool:
    """Whether the last whole lines are the same one again and again, or one line goes on so without an end: nothing better will come."""
    line = code[code.rfind("\n") + 1 :]
    if len(line) > ENDLESS and once(line) != line:
        return True
    lines = code.split("\n")[:-1][-MOST_REPEATS - 1 :]
    return len(lines) > MOST_REPEATS and len(set(lines)) == 1 and any(character.isalnum() for character in lines[0])


def without_circles(code: str) -> str:
    """Ends before a line comes for the third time in a row, and where an endless line begins to repeat itself."""
    lines = code.split("\n")
    if len(lines[-1]) > ENDLESS:
        lines[-1] = once(lines[-1])
        code = "\n".join(lines)
    for number in range(2, len(lines)):
        if lines[number] == lines[number - 1] == lines[number - 2] and any(character.isalnum() for character in lines[number]):
            return "\n".join(lines[: number - 1])
    return code


def placed(raw: str, place: Place, before: str, after: str, cut_short: bool, from_fim: bool) -> str:
    """All steps in order: the text that goes between `before` and `after`, which are the document without what is replaced."""
    # filled in, the code goes on behind the indentation that the prompt ended with; told in a conversation, it has an indentation of its own
    within = bool(before) and not before.endswith("\n") and not place.own_line
    # a model whose tokens begin with a space puts one more behind that indentation
    code = place.indent + (raw if within else raw.lstrip(" \t")) if from_fim else code_of(raw)
    if cut_short:
        code = to_whole_statement(code)
    code = without_following(without_signature(without_circles(code), before), after)
    if not code.strip():
        return ""
    text = code.strip("\n").rstrip() if from_fim else reindented(code.strip("\n").rstrip(), place.indent)
    if within:
        return text[len(place.indent) :]
    return ("\n" if place.own_line else "") + text + _closing(place, before, after)


def _closing(place: Place, before: str, after: str) -> str:
    """`f() {}` was opened up: its closing brace goes on a line of its own."""
    if place.kind == "signature" and before.endswith("{") and after.startswith("}"):
        return "\n" + indent_of(before.rpartition("\n")[2])
    return ""
