"""The prompt for a model: fill-in-the-middle with the instruction as a comment, or a conversation with an instruct model. Pure.

The text next to the place is always kept. Text that does not fit is cut at the far ends of the document, and a note reports it.
"""

from __future__ import annotations

import re
import textwrap

import msgspec

from infill.answers.code import MARK as HERE
from infill.answers.languages import title
from infill.ask import Message
from infill.generation.languages import as_comment
from infill.generation.place import Place, indent_of

_IMPORT = re.compile(r"^\s*(?:import|from|#include|use|using|require|package|const \w+ = require)\b.*$", re.MULTILINE)
_MOST_IMPORTS = 40


class Surroundings(msgspec.Struct, frozen=True):
    """The document around the place, cut to a budget."""

    before: str
    after: str
    imports: str = ""
    """Import lines of the removed text, because the model needs them."""
    notes: tuple[str, ...] = ()


def surroundings(text: str, place: Place, budget: int) -> Surroundings:
    """The document cut at whole lines to `budget` characters: three quarters before the place, the rest after it. Spare room is passed on."""
    before, after = text[: place.start], text[place.end :]
    if len(before) + len(after) <= budget:
        return Surroundings(before, after)
    room_after = min(len(after), max(budget // 4, budget - len(before)))
    kept_before, kept_after = _tail(before, budget - room_after), _head(after, room_after)
    dropped = len(before) - len(kept_before), len(after) - len(kept_after)
    note = f"the document was cut to fit: {dropped[0]:,} characters at its start and {dropped[1]:,} at its end were left out"
    imports = "\n".join(_IMPORT.findall(before[: dropped[0]])[:_MOST_IMPORTS])
    return Surroundings(kept_before, kept_after, imports, (note,))


def _tail(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    cut = text[-room:] if room > 0 else ""
    return cut[cut.find("\n") + 1 :] if "\n" in cut else cut


def _head(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(0, text.rfind("\n", 0, room) + 1) or room]


def fim_parts(around: Surroundings, place: Place, selected: str, language: str) -> tuple[str, str]:
    """Prefix and suffix for a base model; an instruction that is not in the document becomes a comment above the place."""
    above, newline, line = around.before.rpartition("\n")
    comment = ""
    if place.kind == "selection":
        before = textwrap.dedent(place.indent + selected if not line.strip() else selected)
        comment = as_comment(f"before:\n{before}\nnow: {place.instruction}", language, place.indent) + "\n"
    elif place.kind == "instruction":
        comment = as_comment(place.instruction, language, place.indent) + "\n"
    if place.own_line:
        return f"{around.before}\n{comment}{place.indent}", around.after if around.after.startswith("\n") else "\n" + around.after
    return f"{above}{newline}{comment}{line or place.indent}", around.after


_SYSTEM = (
    "You write source code inside an editor. Answer with the code alone, in one fenced block: no explanation, nothing that the file has. "
    "Follow the file's own style."
)


class Refinement(msgspec.Struct, frozen=True):
    """Code that was generated before, and the instruction to change it."""

    text: str
    instruction: str


def refined(messages: tuple[Message, ...], refine: Refinement | None, language: str) -> tuple[Message, ...]:
    """The messages that led to the earlier code, that code, and the change."""
    if refine is None:
        return messages
    task = f"{refine.instruction}\n\nAnswer with the whole changed code, for the same place."
    return (*messages, Message("assistant", f"```{language}\n{refine.text}\n```"), Message("user", task))


def conversation(around: Surroundings, place: Place, selected: str, language: str, path: str) -> tuple[Message, ...]:
    """The messages for an instruct model. For an empty document they name only its language, which works best with small models."""
    if not (around.before + selected + around.after).strip():
        return Message("system", _SYSTEM), Message("user", f"Write this{f' in {title(language)}' if language else ''}: {place.instruction}")
    parts = [f"File: {path or 'untitled'}" + (f" ({language})" if language else "")]
    if around.imports:
        parts.append(f"Its imports:\n{around.imports}")
    marked = f"{around.before}{_lead(around, place)}{HERE}{around.after.rstrip()}"
    parts.append(f"The code around the place, which is marked {HERE}:\n```{language}\n{marked}\n```")
    if place.kind == "selection":
        parts.append(f"Rewrite this part of it, which the marker stands for:\n```{language}\n{selected}\n```")
    if scopes := enclosing_scopes(around.before, place.indent):
        parts.append(f"The place is inside `{' > '.join(scopes)}`.")
    parts.append(_TASKS.get(place.kind, "Write what replaces the marker: {}").format(place.instruction))
    return Message("system", _SYSTEM), Message("user", "\n\n".join(parts))


def _lead(around: Surroundings, place: Place) -> str:
    """The white space before the marker: a line break and the code's indentation, or nothing in the middle of a line."""
    if place.own_line:
        return "\n" + place.indent
    return "" if around.before.rpartition("\n")[2] else place.indent


_TASKS = {"docstring": "Write the body that the docstring describes: {}", "signature": "{}\nWrite the body only."}
_KEYWORD = r"(?:[\w@()]+\s+)*?(?:class|def|function|func|fn|impl|struct|interface|enum|trait|namespace|module|mod)\b"
_TYPED = r"(?!(?:if|for|while|switch|catch|match|with|return|else)\b)[\w:*&<>,\[\]\s]+\([^;]*\)[^;=]*\{$"
_DEFINITION = re.compile(f"{_KEYWORD}|{_TYPED}")


def enclosing_scopes(before: str, indent: str) -> list[str]:
    """The definitions around the place, outermost first: going up, those among the lines with less and less indentation."""
    width = _columns(indent)
    found: list[str] = []
    for line in reversed(before.split("\n")):
        words = line.strip()
        # a closing bracket ends a block that began above it, and preprocessor lines are never indented
        if words and words[0] not in ")]}#" and _columns(indent_of(line)) < width:
            width = _columns(indent_of(line))
            if _DEFINITION.match(words):
                found.insert(0, words.rstrip("{: "))
    return found


def _columns(indent: str) -> int:
    return len(indent.expandtabs(4))
