"""The parts of an answer: reasoning, prose and fenced code blocks, in order.

Fences follow CommonMark (spec 0.31, section 4.5) as far as models do. A fence inside an open string or comment of the code does not close the block.
A fence with a language opens another block, and an unclosed block ends with the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from infill.answers.reasoning import CLOSE, OPEN, UNQUOTED, canonical

_FENCE = re.compile(r"^(?P<indent>[ \t]*(?:>[ \t]*|[-*][ \t]+|\d+[.)][ \t]+)?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")
_ONE_LINE = re.compile(r"^[ \t]*```(?:[ \t]*(?P<info>[a-z+#]+)[ \t]+)?(?P<code>[^`\n]*[^`\s])[ \t]*```[ \t]*$")
_MARK = re.compile(rf"{UNQUOTED}(?:(?<!\w){re.escape(OPEN)}|{re.escape(CLOSE)})", re.IGNORECASE)
_GLUED = re.compile(r"[^`\s][ \t]*(`{3,})\s*\Z")
_STRINGS = re.compile(r"\"\"\"|'''|/\*|\*/")
_MARKDOWN = frozenset({"markdown", "md", "mdx"})


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""

    kind: Literal["reasoning", "prose", "code"]
    text: str
    info: str = ""
    """For code: the text after the opening fence."""
    closed: bool = True
    """False for reasoning or code without an end so far."""


def parts(raw: str, *, done: bool) -> tuple[Part, ...]:
    """Split an answer. While not `done`, a last line that may become a fence is left out."""
    text = canonical(raw, done=done)
    if not done:
        text = _without_unfinished_fence(text)
    found: list[Part] = []
    lines, at = text.split("\n"), 0
    prose: list[str] = []

    def flush() -> None:
        if prose:
            found.append(Part(kind="prose", text="\n".join(prose)))
            prose.clear()

    while at < len(lines):
        line = lines[at]
        if mark := _MARK.search(line):
            before, after = line[: mark.start()], line[mark.end() :]
            prose.append(before)
            flush()
            if mark[0].lower() == CLOSE:
                found = [Part(kind="reasoning", text="".join(part.text for part in found))]
                lines[at] = after
                continue
            at = _reasoning(found, [after, *lines[at + 1 :]], at, lines)
        elif single := _ONE_LINE.match(line):
            flush()
            found.append(Part(kind="code", text=single["code"].strip(), info=single["info"] or ""))
            at += 1
        elif (fence := _FENCE.match(line)) is not None:
            flush()
            part, at, misplaced = _code(fence, lines, at + 1, done=done)
            found.append(part)
            if misplaced:  # a reasoning block that ends inside an unclosed fence
                found = [Part(kind="reasoning", text="".join(part.text for part in found))]
        else:
            prose.append(line)
            at += 1
    flush()
    return tuple(found)


def _reasoning(found: list[Part], rest: list[str], at: int, lines: list[str]) -> int:
    """Add the reasoning that begins `rest`. Returns the next line to read, from which the reasoning has been removed."""
    for number, line in enumerate(rest):
        if (closing := line.lower().find(CLOSE)) >= 0:
            found.append(Part(kind="reasoning", text="\n".join([*rest[:number], line[:closing]])))
            lines[at + number] = line[closing + len(CLOSE) :]
            return at + number
    found.append(Part(kind="reasoning", text="\n".join(rest), closed=False))
    return len(lines)


def _code(fence: re.Match[str], lines: list[str], start: int, *, done: bool) -> tuple[Part, int, bool]:
    """The block that begins with line `start`, the next line to read, and whether reasoning ends inside the block."""
    info, indent = fence["info"].strip(), fence["indent"]
    end, closed = _closing(fence, lines, start, done=done)
    misplaced = next((number for number in range(start, end) if lines[number].strip().lower() == CLOSE), None)
    if misplaced is not None:
        return Part(kind="code", text="\n".join(lines[start:misplaced]), info=info), misplaced + 1, True
    body = [_without(line, indent) for line in lines[start:end]]
    text = "\n".join(body)
    if not closed and (glued := _GLUED.search(text)):
        text, closed = text[: glued.start(1)].rstrip(), True
    part = Part(kind="code", text=text, info=info, closed=closed)
    if not closed or end >= len(lines):
        return part, len(lines), False
    again = _FENCE.match(lines[end])
    bare = again is not None and not again["info"].strip()
    if again is not None and not bare and " " in again["info"].strip():  # "``` This function ...": the fence closes, prose follows
        lines[end] = again["info"]
    return part, end + 1 if bare else end, False


def _closing(fence: re.Match[str], lines: list[str], start: int, *, done: bool) -> tuple[int, bool]:
    """The line that closes a block, and True; else where the certain text of the block ends, and False."""
    markdown = fence["info"].strip().lower().partition(" ")[0] in _MARKDOWN
    depth, quote = 0, ""
    paired: bool | None = False  # inside a string: whether a fence is open
    for number in range(start, len(lines)):
        other = _FENCE.match(lines[number])
        if other is None or other["fence"][0] != fence["fence"][0] or _deeper(other["indent"], fence["indent"]):
            quote = open_string(lines[number], quote)
            paired = paired and bool(quote)
            continue
        info = other["info"].strip()
        if markdown and (info or depth):
            depth += 1 if info else -1
        elif len(other["fence"]) < len(fence["fence"]):
            continue
        elif paired:
            paired = False
        elif quote and (paired := _belongs_to(quote, lines, number, done=done)) is not False:
            if paired is None:
                return number, False
        else:
            return number, True
    return len(lines), False


def _belongs_to(quote: str, lines: Sequence[str], at: int, *, done: bool) -> bool | None:
    """Whether a fence is inside the open string or comment; None if more text is needed.

    It is if the string is closed further down and the number of fences up to there is even.
    """
    fences = 0
    for line in lines[at:]:
        if open_string(line, quote) != quote:
            return fences % 2 == 0
        fences += _FENCE.match(line) is not None
    return False if done else None


def open_string(line: str, quote: str = "") -> str:
    """What is open after a line: triple quotes or a block comment; empty for nothing. `quote`: what is open before it."""
    for mark in _STRINGS.findall(line):
        if not quote and mark != "*/":
            quote = mark
        elif mark == quote or (quote, mark) == ("/*", "*/"):
            quote = ""
    return quote


def _deeper(indent: str, outer: str) -> bool:
    return len(indent.expandtabs(4)) > len(outer.expandtabs(4)) + 3


def _without(line: str, indent: str) -> str:
    """A line of a block without its fence's indentation (in a list item: the width of the item's marker)."""
    width = min(len(indent), len(line) - len(line.lstrip(" \t")))
    return line[width:]


def _without_unfinished_fence(text: str) -> str:
    start = text.rfind("\n") + 1
    return text[:start] if re.match(r"[ \t]*(?:`|~~|[>*-][ \t]+`|\d+[.)][ \t]+`)", text[start:]) else text
