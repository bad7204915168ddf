"""The part of an answer that is the requested code.

It is the block in the document's language, not the longest. Installation commands, output and examples of use are excluded. A later block is used
only if its lead calls it the complete code, or if it contains all of the first. Without blocks, sentences are removed from the text.
"""

from __future__ import annotations

import re

import msgspec

from infill.answers import languages
from infill.answers.blocks import Part, parts
from infill.answers.prose import is_lead, is_prose
from infill.answers.reasoning import CLOSE, canonical

MARK = "<<<CODE GOES HERE>>>"
"""Marks where the code goes, in the prompt of a generation."""
CURSOR = "<CURSOR>"
"""The same mark in a chat model's prompt for a completion."""
_MARKS = re.compile(r"[ \t]*(?:#|//|--|/\*|<!--)?[ \t]*(?:<{1,3}\s*CODE GOES HERE\s*>{1,3}|<CURSOR>)[ \t]*(?:\*/|-->)?", re.IGNORECASE)
_BEGUN_MARK = re.compile(r"[ \t]*(?:(?:#|//|--)[ \t]*)?<{1,3}(?:C(?:O(?:D(?:E[A-Z ]*|)|)|U(?:R(?:S(?:O(?:R)?)?)?)?)?)?\Z")
_COMMAND = re.compile(
    r"^\s*(?:[$>%]\s+|PS[^>]*>\s*)?(?:sudo\s+)?(?:pip3?|python3?\s+-m\s+pip|uv|poetry|pipx|conda|npm|npx|yarn|pnpm|bun|deno"
    r"|go\s+(?:get|install|run|mod|build|test)|cargo|brew|apt(?:-get)?|yum|dnf|apk|pacman|choco|winget|gem|bundle|composer|dotnet|nuget|mvn|gradle"
    r"|docker|git|cd|mkdir|touch|chmod|curl|wget|python3?\s+\S+\.py|node\s+\S+\.[cm]?js|ts-node\s+\S+|g?cc\s+\S+|g\+\+\s+\S+|rustc\s+\S+"
    r"|javac?\s+\S+|ruby\s+\S+\.rb|bash\s+\S+|\./\S+)(?:\s|$)"
)
_USAGE = re.compile(
    r"\b(?:example\s+(?:usage|use)|usage(?:\s+example)?s?|how\s+to\s+use|(?:to|can)\s+(?:use|test|call|run|try|verify|check)\b|for\s+example|examples?\b"
    r"|sample\s+(?:usage|output|input)|expected\s+output|outputs?\b|(?:will|should|would)\s+(?:print|output|return|give)"
    r"|test(?:ing)?\s+(?:the|it|this|your|cases?)|use\s+(?:it|this|the\s+\w+)\s+(?:like|as|in)|call\s+(?:it|this)|quick\s+(?:test|check)"
    r"|run\s+(?:it|this))",
    re.IGNORECASE,
)
_QUOTING = re.compile(
    r"\b(?:original|your\s+(?:current|existing|code|function)|existing|currently|before(?:\s+the\s+change)?:|given\s+(?:this|the)|instead\s+of)\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\b(?:complete|full|final|whole|entire|corrected|updated|improved|fixed|revised|refactored|cleaned[\s-]up|all\s+together|combined"
    r"|putting\s+(?:it|everything)\s+together)\b",
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(
    r"\b(?:alternative(?:ly)?|another\s+(?:way|approach|option)|or\s+(?:you|with|using)|if\s+you\s+(?:prefer|want|need)|optional)", re.IGNORECASE
)
_IMPORT = re.compile(r"^\s*(?:import\b|from\s+\S+\s+import\b|#include\b|using\b|use\b|require\b|package\b|(?:const|let|var)\s+.*require\()")
_TAIL = re.compile(
    r"^(?:#|//|--|/\*)+\s*(?:example(?:\s+(?:usage|use|of use))?|usage(?:\s+examples?)?|examples|sample\s+usage|driver\s+code|(?:expected\s+)?output"
    r"|test(?:ing)?\s+(?:the\s+\w+|cases?|it)|tests?|demo)\b[^\n]*$",
    re.IGNORECASE,
)
ASKS_FOR_USE = re.compile(r"\b(?:example|usage|demo|test|main|script|print|call)", re.IGNORECASE)
"""Matches an instruction that asks for more than a definition; then an example of use at the end is part of the code."""
_ALOUD = re.compile(
    r"\s*(?:(?:okay|ok|alright|hmm+|well|so)[,.!]*\s+(?:so\b|let(?:'s| me| us)\b|the user|i (?:need|have|should|want|must)"
    r"|we (?:need|have)|first|what)"
    r"|the user (?:wants|is asking|asks|needs|asked)|let(?:'s| me) (?:think|see|analy|break|start by|first|consider|look)"
    r"|we (?:need|have|are asked|must|should) |i need to |first, (?:i|let)|hmm+\b|wait\b)",
    re.IGNORECASE,
)
INLINE = re.compile(r"^`([^`\n]+)`[.:]?$")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A block of code and the sentence before it."""

    language: str
    text: str
    lead: str
    closed: bool = True


def code_of(raw: str, language: str = "", *, done: bool = True, wish: str = "") -> str:
    """The code in an answer; empty if there is none. `language`: an identifier or a file extension; `wish`: the instruction."""
    if not done and thinks_aloud(raw):
        return ""
    found = mended([part for part in parts(raw, done=done) if part.kind != "reasoning"])
    wanted = languages.canonical(language)
    blocks = blocks_of(found)
    text = chosen(blocks, wanted).text if blocks else bare("\n".join(part.text for part in found), wanted, done=done)
    text = without_marks(text, done=done).strip("\n")
    return text if ASKS_FOR_USE.search(wish) else without_usage(text)


def is_reasoning(raw: str) -> bool:
    """Whether an unfinished answer is still in its reasoning."""
    found = parts(raw, done=False)
    return thinks_aloud(raw) or (bool(found) and found[-1].kind == "reasoning" and not found[-1].closed)


def thinks_aloud(raw: str) -> bool:
    """Whether an unfinished answer looks like reasoning without an opening mark (the server's template wrote it), whose end may still follow."""
    return bool(_ALOUD.match(raw)) and CLOSE not in canonical(raw, done=False)


def mended(found: list[Part]) -> list[Part]:
    """The parts of an answer without an opening fence: the text before its only fence is the code."""
    codes = [part for part in found if part.kind == "code"]
    if len(codes) == 1 and not codes[0].closed and not codes[0].info and found[0].kind == "prose" and (text := bare(found[0].text, "", done=True)):
        return [Part(kind="code", text=text)]
    return found


def blocks_of(found: list[Part]) -> list[Block]:
    blocks, lead = [], ""
    for part in found:
        if part.kind == "prose":
            lead = next((line.strip() for line in reversed(part.text.split("\n")) if line.strip()), "")
        else:
            blocks.append(Block(language=languages.canonical(part.info), text=part.text, lead=lead, closed=part.closed))
            lead = ""
    return blocks


NOTHING = Block(language="", text="", lead="")


def chosen(blocks: list[Block], wanted: str) -> Block:
    """The block that answers the request; `NOTHING` if all are commands or output."""
    able = [block for block in blocks if block.text.strip() and not is_command(block, wanted)]
    best = max((languages.agreement(block.language, wanted) for block in able), default=0)
    able = [block for block in able if languages.agreement(block.language, wanted) == best]
    told = [block for block in able if not _is_aside(block)] or able[:1]
    if not told:
        return NOTHING
    for block in reversed(told[1:]):
        if _WHOLE.search(block.lead) and not _ALTERNATIVE.search(block.lead):
            return block
    first = told[0]
    for block in told[1:]:
        if _holds(block.text, first.text):
            return block
    if len(told) > 1 and _only_imports(first.text):
        joined = first.text if _holds(told[1].text, first.text) else f"{first.text}\n\n{told[1].text}"
        return msgspec.structs.replace(told[1], text=joined)
    return first


def is_command(block: Block, wanted: str) -> bool:
    """Whether a block is a shell command or program output although other code is requested."""
    if wanted in languages.CONSOLE or block.language == wanted != "":
        return False
    lines = [line for line in block.text.split("\n") if line.strip()]
    typed = bool(lines) and all(_COMMAND.match(line) or line.lstrip().startswith("#") for line in lines)
    if block.language in languages.CONSOLE and wanted:
        return typed or block.language != "plaintext"
    return typed


def answering(block: Block, wanted: str) -> bool:
    """Whether a block may be shown before the rest of the answer is known."""
    able = block.text.strip() and not is_command(block, wanted) and not _is_aside(block)
    return bool(able) and languages.agreement(block.language, wanted) > 0


def _is_aside(block: Block) -> bool:
    """Whether a block is an example of use or the code before the change."""
    if _WHOLE.search(block.lead):
        return False
    return bool(_USAGE.search(block.lead) or _QUOTING.search(block.lead))


def _holds(text: str, other: str) -> bool:
    """Whether `text` contains each line of `other`, and more."""
    lines = {line.strip() for line in text.split("\n")}
    wanted = {line.strip() for line in other.split("\n") if line.strip()}
    return len(wanted) > 1 and wanted < lines


def _only_imports(text: str) -> bool:
    return all(_IMPORT.match(line) for line in text.split("\n") if line.strip())


def bare(text: str, wanted: str, *, done: bool) -> str:
    """The code of an answer without fences; empty if it has only sentences."""
    if inline := INLINE.match(text.strip()):
        return inline[1]
    lines = text.strip("\n").split("\n")
    while lines and (not lines[0].strip() or is_lead(lines[0]) or (wanted not in languages.PROSE and is_prose(lines[0]))):
        lines.pop(0)
    if wanted in languages.PROSE:
        return "\n".join(lines)
    while lines and (not lines[-1].strip() or is_prose(lines[-1])):
        lines.pop()
    # an unfinished line may become a sentence or the lead of a fence
    return "" if not done and len(lines) == 1 and not text.endswith("\n") and re.match(r"[A-Z`*-]", lines[0].lstrip()) else "\n".join(lines)


def without_marks(code: str, *, done: bool) -> str:
    """The code without the marks of our prompts; a line with only a mark is removed."""
    lines = [line for line in code.split("\n") if not (_MARKS.search(line) and not _MARKS.sub("", line).strip())]
    text = _MARKS.sub("", "\n".join(lines))
    return text if done else _BEGUN_MARK.sub("", text)


def without_usage(code: str) -> str:
    """The code without an example of use at its end, if a comment introduces it."""
    lines = code.split("\n")
    for number in range(1, len(lines)):
        if _TAIL.match(lines[number]) and any(line.strip() and not _IMPORT.match(line) for line in lines[:number]):
            return "\n".join(lines[:number]).rstrip()
    return code
