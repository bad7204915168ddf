"""Blocks and definitions, recognised by indentation and by common syntax. Pure.

The rules are coarse on purpose: unknown syntax is no definition, so there is no suggestion.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from infill.edits.tokens import KEYWORDS, indentation

Role = Literal["parameter", "local", "function", "type", "member", "import"]
MOST_LINES_OF_SIGNATURE = 30

_FUNCTION = re.compile(
    r"\b(?:def|function|func|fn|fun)\b|=>\s*[({]?\s*$"
    r"|^\s*(?!\s)(?!(?:if|for|while|switch|catch|else|elif|do|try|with|match|return|using|lock|foreach|synchronized)\b)"
    r"[\w<>\[\],.*&:?~@ \t]*\b[\w$]+\s*\([^;]*\)[^;={}]*\{\s*\}?\s*$"
)
_TYPE_HEADER = re.compile(
    r"^\s*(?:[\w()]+\s+)*(?:class|struct|interface|enum|trait|impl|union|record|object|protocol)\b|\b(?:struct|interface)\s*\{\s*$"
)
_DECLARED = re.compile(r"\b(?:let|const|var|val|auto|final|my|local|static|mut)\s+(?:mut\s+)?(?:[\w$]+\s*,\s*)*$")
_FUNCTION_NAME = re.compile(r"\b(?:def|function\s*\*?|func|fn|fun|macro_rules!)\s+(?:\([^)]*\)\s*)?$")
_TYPE_NAME = re.compile(r"\b(?:class|struct|enum|interface|type|trait|union|record|protocol|namespace|typedef\s+struct)\s+$")
_IMPORTED = re.compile(r"^\s*(?:from\s+\S+\s+)?(?:import|use)\b.*\bas\s+$")
_TYPED = re.compile(r"^\s*(?:[A-Za-z_][\w:.]*(?:<[^;=()]*>)?(?:\[\])*[\s*&]+)+$")
_NO_TYPE = re.compile(
    r"^\s*(?:return|throw|new|delete|goto|package|import|else|case|using|await|yield|raise|assert|del|print|not|in|is|if|while|for)\b"
)
_PYTHON_TARGET = re.compile(r"^\s*(?:[\w.]+\s*,\s*)*$")
_BOUND = re.compile(r"\b(?:for|async\s+for)\s+\(?(?:[\w$]+\s*,\s*)*$|\bas\s+$|\blambda\s+(?:[\w=]+\s*,\s*)*$")
INDENTED = frozenset({"python", "py", "yaml", "nim", "coffeescript"})
TYPE_FIRST = frozenset({"c", "cpp", "java", "csharp", "objective-c", "objective-cpp", "cuda-cpp", "dart", "groovy"})


class Block(NamedTuple):
    """Lines `first` up to `end`."""

    first: int
    end: int

    def __contains__(self, line: object) -> bool:
        return isinstance(line, int) and self.first <= line < self.end


def block_from(lines: Sequence[str], header: int) -> Block:
    """The line `header`, the lines indented below it, and its closing line."""
    depth, end = _depth(lines[header]), header + 1
    for number in range(header + 1, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if _depth(line) < depth or (_depth(line) == depth and line.lstrip()[0] not in ")]}{"):
            break
        end = number + 1
    return Block(header, end)


def header_of(lines: Sequence[str], line: int) -> int | None:
    """The first line of the block around `line`; None at the outermost level."""
    depth = _depth(lines[line])
    for number in range(line - 1, -1, -1):
        text = lines[number]
        if text.strip() and _depth(text) < depth and not text.lstrip().startswith(("#", "//", "*")):
            return _start(lines, number)
    return None


def function_around(lines: Sequence[str], line: int) -> int | None:
    """The first line of the innermost function that `line` is in or begins."""
    at: int | None = _start(lines, line)
    while at is not None:
        if is_function(lines, at):
            return at
        at = header_of(lines, at)
    return None


def is_function(lines: Sequence[str], line: int) -> bool:
    """Whether a function begins at `line`."""
    return _FUNCTION.search(signature(lines, line)) is not None


def signature(lines: Sequence[str], line: int) -> str:
    """The text of a line, and of the following lines while its parentheses are open."""
    text = lines[line]
    for number in range(line + 1, min(len(lines), line + MOST_LINES_OF_SIGNATURE)):
        if text.count("(") <= text.count(")"):
            break
        text += " " + lines[number].strip()
    return text


def is_type(lines: Sequence[str], header: int | None) -> bool:
    """Whether a class, struct or similar type begins at `header`."""
    return header is not None and _TYPE_HEADER.search(lines[header]) is not None


def role(lines: Sequence[str], line: int, index: int, name: str, language: str) -> Role | None:
    """The kind of definition of a name at a place; None if it is only used."""
    before, after = lines[line][:index], lines[line][index + len(name) :]
    follows = after.lstrip()
    inside = header_of(lines, line)
    member = is_type(lines, inside)
    if _TYPE_NAME.search(before):
        return "type"
    if _FUNCTION_NAME.search(before):
        return "member" if member or re.search(r"\bfunc\s+\(", before) else "function"
    if _IMPORTED.match(before):
        return "import" if not re.match(r"\s+as\b", after) else None
    if re.search(r"\b(?:self|this)\.$", before) and re.match(r"(?::[^=]*)?=(?!=)", follows):
        return "member"
    if before.rstrip().endswith((".", "->", "::")):
        return None
    if _parameter(lines, line, before, follows, language):
        return "parameter"
    return _variable(before, follows, language, member=member)


def _variable(before: str, follows: str, language: str, *, member: bool) -> Role | None:
    found: Role = "member" if member else "local"
    if _DECLARED.search(before) and not _in_brackets(before):
        return found
    if _BOUND.search(before) or (follows.startswith(":=") and _PYTHON_TARGET.match(before)) or re.match(r"(?:,\s*\w+\s*)+:=", follows):
        return "local"
    assigned = re.match(r"(?:,\s*[\w.]+\s*)*(?::(?!=)[^=]*)?=(?![=>])", follows)
    if language in INDENTED:
        return found if _PYTHON_TARGET.match(before) and (assigned or (member and follows.startswith(":"))) else None
    if member and not before.strip() and (re.match(r"[?!]?:", follows) or re.match(r"[\w*\[\]]", follows)):
        return "member"
    if member and re.match(r"\s*(?:(?:pub|public|private|protected|readonly|static|pub\(crate\))\s+)+$", before):
        return "member"
    typed = _TYPED.match(before) and not _NO_TYPE.match(before)
    if language in TYPE_FIRST and typed:
        if follows.startswith("(") and ("{" in follows or not before[:1].isspace()):
            return "member" if member else "function"
        return found if re.match(r"[=;,\[]", follows) else None
    return None


def _parameter(lines: Sequence[str], line: int, before: str, follows: str, language: str) -> bool:
    start = _start_of_signature(lines, line)
    if start is None or not is_function(lines, start):
        return False
    text = " ".join([*(one.strip() for one in lines[start:line]), before])
    opened = text.find("(", max(0, _keyword_end(text)))
    if text.lstrip().startswith("func ("):
        opened = text.find("(", text.find(")"))
    depth = text.count("(", opened) - text.count(")", opened)
    if opened < 0 or depth < 1 or "{" in text[opened:]:
        return False
    if language in TYPE_FIRST:
        return bool(re.search(r"[\w>\]*&]\s*$", before)) and bool(re.match(r"[,)=\[]", follows)) and not re.search(r"[(,]\s*$", before)
    default = re.search(r"(?<![=!<>])=(?!=)[^,]*$", before)
    typed = re.search(r":[^,]*$", before)
    return not default and not typed and bool(re.search(r"(?:[(,*&]|\bmut|\.\.\.|^)\s*$", before)) and bool(re.match(r"[,):=?]|[\w*\[.]|$", follows))


def _keyword_end(text: str) -> int:
    match = re.search(r"\b(?:def|function|func|fn|fun)\b", text)
    return match.end() if match else -1


def _start_of_signature(lines: Sequence[str], line: int) -> int | None:
    """The line with the opening parenthesis around a line; the line itself if it contains it."""
    if "(" in lines[line] and _FUNCTION.search(signature(lines, line)):
        return line
    for number in range(line - 1, max(-1, line - MOST_LINES_OF_SIGNATURE), -1):
        if lines[number].rstrip().endswith("("):
            return number
        if lines[number].rstrip().endswith((";", "{", "}", ":")):
            return None
    return None


def _in_brackets(before: str) -> bool:
    return before.count("{") > before.count("}")


def _start(lines: Sequence[str], line: int) -> int:
    """The first line of a statement whose last line begins with a closer, such as `) -> int:`."""
    if not lines[line].lstrip().startswith((")", "]", "}", "{")):
        return line
    depth = _depth(lines[line])
    for number in range(line - 1, -1, -1):
        if lines[number].strip() and _depth(lines[number]) == depth and not lines[number].lstrip().startswith((")", "]", "}", "{")):
            return number
    return line


def _depth(line: str) -> int:
    return len(indentation(line.expandtabs(4)))


def is_keyword(name: str) -> bool:
    return name in KEYWORDS
