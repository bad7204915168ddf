"""Reasons to hide a model's edit: small pure rules, checked in order.

The rules concern kinds of changes, not particular models: all models make the same kinds of unwanted changes.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Collection, Sequence
from difflib import SequenceMatcher

import msgspec

from infill.completion.lexer.languages import ALIASES
from infill.edits.history import Undone
from infill.edits.hunks import Hunk
from infill.edits.scopes import role
from infill.edits.sound import parses
from infill.edits.types import Change
from infill.edits.zones import mask, occurrences

MOST_NEW_LINES = 20
MOST_LOST_LINES = 10
"""Maximum number of lines that a suggestion may remove more than it adds."""
MOST_LINES_ABOVE = 2
"""Maximum number of lines inserted above the cursor's line without a change there."""
_WORD = re.compile(r"\w+")
_CONTROL = re.compile(r"<\|[\w-]{1,40}\|>|<\[[\w-]{1,40}\]>|<[\uff5c][^>\n]{1,40}[\uff5c]>|<\[end\u2581of\u2581sentence\]>")
_IMPORT = re.compile(r"\s*(?:import|from|use|using|#include|require|const\s+\{?[\w\s,]*\}?\s*=\s*require)\b")
_IMPORT_WORDS = frozenset({"import", "from", "use", "using", "include", "require", "const", "as", "type", "static", "crate", "self", "super"})
_MODULE = re.compile(r"(?<![\w.])([a-z_]\w*)\.")


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """One edit, and the data that the rules check."""

    change: Change
    lines: Sequence[str]
    """The lines of the present document."""
    language: str
    cursor: tuple[int, int]
    hunks: Sequence[Hunk] = ()
    """The hunks of the document."""
    undone: Collection[Undone] = ()
    """Changes in the document that the user has undone."""
    rejected: Collection[str] = ()
    """The `content` of edits that the user rejected."""
    whole: Sequence[str] = ()
    """The document with all edits of the same answer; empty if this is the only one."""

    @property
    def old(self) -> tuple[str, ...]:
        return tuple(self.lines[self.change.first : self.change.end])

    @property
    def new(self) -> tuple[str, ...]:
        return self.change.new

    @property
    def result(self) -> list[str]:
        """The document after the edit."""
        return [*self.lines[: self.change.first], *self.new, *self.lines[self.change.end :]]

    @property
    def content(self) -> str:
        """A digest of the change without its place."""
        return content(self.old, self.new)


def content(old: Sequence[str], new: Sequence[str]) -> str:
    """A digest of a change, without indentation and place."""
    both = "\0".join(["\n".join(line.strip() for line in lines) for lines in (old, new)])
    return hashlib.sha256(both.encode("utf-8", "replace")).hexdigest()[:24]


HARMLESS = frozenset({"it changes nothing", "it changes white space only", "it was rejected before", "it changes the layout only"})
"""Reasons that do not exclude later edits of the same answer."""


def refusal(proposal: Proposal) -> str:
    """Why an edit is hidden, as a sentence; empty if it may be shown."""
    return next((reason for rule, reason in RULES if rule(proposal)), "")


def _unchanged(proposal: Proposal) -> bool:
    return proposal.old == proposal.new


def _blank(proposal: Proposal) -> bool:
    return _packed(proposal.old) == _packed(proposal.new)


def _control(proposal: Proposal) -> bool:
    return any(found not in "\n".join(proposal.lines) for line in proposal.new for found in _CONTROL.findall(line))


def _too_many(proposal: Proposal) -> bool:
    return len(proposal.new) - len(proposal.old) > MOST_NEW_LINES


def _loses(proposal: Proposal) -> bool:
    return _worded(proposal.old) - _worded(proposal.new) > MOST_LOST_LINES


def _rejected(proposal: Proposal) -> bool:
    return proposal.content in proposal.rejected


def _takes_back(proposal: Proposal) -> bool:
    """Whether it undoes an edit of the user. It may undo one that broke the syntax."""
    back = any(_inverse(hunk, proposal) or _brings_back(hunk, proposal) or _removes(hunk, proposal) for hunk in proposal.hunks)
    return back and not _mends(proposal)


def _inverse(hunk: Hunk, proposal: Proposal) -> bool:
    """Whether lines of the hunk return to their state at its beginning or at an earlier step."""
    change = proposal.change
    if change.first >= max(hunk.end, hunk.first + 1) or hunk.first >= max(change.end, change.first + 1):
        return False
    begin, end = min(change.first, hunk.first), max(change.end, hunk.end)
    now = _packed([*proposal.lines[begin : change.first], *change.new, *proposal.lines[change.end : end]])
    around = proposal.lines[begin : hunk.first], proposal.lines[hunk.end : end]
    if any(_packed([*around[0], *state, *around[1]]) == now for state in (hunk.old, *hunk.states)):
        return True
    pairs = {(new.strip(), old.strip()) for old, new in zip(hunk.old, hunk.new, strict=False) if old.strip() != new.strip()}
    same_size = len(hunk.old) == len(hunk.new) and len(proposal.old) == len(proposal.new)
    return same_size and any((old.strip(), new.strip()) in pairs for old, new in zip(proposal.old, proposal.new, strict=True))


def _brings_back(hunk: Hunk, proposal: Proposal) -> bool:
    """Whether lines that the user removed or replaced are inserted again, at any place."""
    gone = {line.strip() for line in hunk.old if _worded([line])} - {line.strip() for line in hunk.new}
    there = {line.strip() for line in proposal.lines}
    added = [line.strip() for line in proposal.new if _worded([line]) and line.strip() not in there]
    back = [line for line in added if line in gone]
    return bool(added) and len(back) * 2 > len(added) and any(len(_WORD.findall(line)) >= 3 for line in back)


def _removes(hunk: Hunk, proposal: Proposal) -> bool:
    """Whether all that the user just added in the hunk is removed without a replacement."""
    change = proposal.change
    inside = change.first <= hunk.first and hunk.end <= change.end and hunk.new
    added = _words(hunk.new) - _words(hunk.old)
    return bool(inside and added and not added & _words(proposal.new) and not _words(proposal.new) - _words(hunk.old))


def _mends(proposal: Proposal) -> bool:
    before, after = "\n".join(proposal.lines), "\n".join(proposal.result)
    return parses(before, proposal.language) is False and parses(after, proposal.language) is True


def _undone_before(proposal: Proposal) -> bool:
    """Whether it repeats a change that the user has undone."""
    return any((one.old, one.new) == (proposal.old, proposal.new) for one in proposal.undone)


def _repeats(proposal: Proposal) -> bool:
    """Whether inserted lines are equal to the lines right below or above."""
    added, at = _inserted(proposal)
    if not added or not _worded(added):
        return False
    after, before = proposal.result[at + len(added) :], proposal.result[:at]
    return list(added) == after[: len(added)] or list(added) == before[len(before) - len(added) :]


def _inserted(proposal: Proposal) -> tuple[list[str], int]:
    """The lines of a pure insertion, and its place in the result; empty if lines are changed."""
    old, new = proposal.old, proposal.new
    found = [opcode for opcode in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if opcode[0] != "equal"]
    if len(found) != 1 or found[0][0] != "insert":
        return [], 0
    return list(new[found[0][3] : found[0][4]]), proposal.change.first + found[0][3]


def _far_above(proposal: Proposal) -> bool:
    """Whether a block that no edit requires is inserted above the cursor; imports are allowed."""
    added, at = _inserted(proposal)
    if len(added) <= MOST_LINES_ABOVE or at > proposal.cursor[0] or all(_IMPORT.match(line) for line in added if line.strip()):
        return False
    return not any(_packed(hunk.new) == _packed(added) for hunk in proposal.hunks)


def _comments_out(proposal: Proposal) -> bool:
    """Whether code becomes a comment. Continuing what the user has begun to comment out is allowed."""
    pattern, mine = mask(proposal.language), {line.strip() for hunk in proposal.hunks for line in hunk.new}
    code = [line.strip() for line in proposal.old if _worded([line]) and not _comment(line, pattern)]
    bodies = {re.sub(r"^\W+", "", line.strip()) for line in proposal.new if _comment(line, pattern)}
    begun = any(_comment(line, pattern) and _words([line]) <= _words(hunk.old) for hunk in proposal.hunks for line in hunk.new if _worded([line]))
    return not begun and any(re.sub(r"^\W+", "", line) in bodies for line in code if line not in mine)


def _comment(line: str, pattern: re.Pattern[str]) -> bool:
    found = pattern.match(line.strip())
    return found is not None and found.lastgroup == "comment"


def _reflows(proposal: Proposal) -> bool:
    """Whether the same words are distributed over a different number of lines, which is a formatter's task."""
    old, new = (_WORD.findall("\n".join(lines)) for lines in (proposal.old, proposal.new))
    return bool(old) and old == new and len(proposal.old) != len(proposal.new)


def _loses_import(proposal: Proposal) -> bool:
    """Whether an import is removed that no edit made unnecessary or that is still used."""
    gone = _imported(proposal.old) - _imported(proposal.result)
    touched = {word for hunk in proposal.hunks for word in _words(hunk.old) | _words(hunk.new)}
    return bool(gone - touched) or any(_used(proposal, name) for name in gone)


def _used(proposal: Proposal, name: str) -> bool:
    result = proposal.result
    return any(place.zone == "code" and not _IMPORT.match(result[place.line]) for place in occurrences(result, name, proposal.language))


def _imports_again(proposal: Proposal) -> bool:
    """Whether an import is added whose names another import already has."""
    result, before = proposal.result, set(proposal.lines)
    imports = [(line, _imported([line])) for line in result if _IMPORT.match(line)]
    return any(
        names and names <= others and line != other
        for line, names in imports
        if line not in before and line in proposal.new
        for other, others in imports
    )


def _imported(lines: Sequence[str]) -> set[str]:
    """The words of import lines."""
    return {word for line in lines if _IMPORT.match(line) for word in _WORD.findall(line)} - _IMPORT_WORDS


def _stale_name(proposal: Proposal) -> bool:
    """Whether a line is rewritten with a name whose definition the user has just removed and that has no other definition."""
    written = _words(proposal.new)
    gone = {name for hunk in proposal.hunks for name in _words(hunk.old) - _words(hunk.new) if name in written and _defines(hunk.old, name, proposal)}
    return any(_used_bare(proposal.new, name, proposal) and not _defines(proposal.whole or proposal.result, name, proposal) for name in gone)


def _defines(lines: Sequence[str], name: str, proposal: Proposal) -> bool:
    return any(role(lines, place.line, place.column, name, proposal.language) for place in occurrences(lines, name, proposal.language))


def _used_bare(lines: Sequence[str], name: str, proposal: Proposal) -> bool:
    """Whether a name is used in code, other than as a member."""
    places = [place for place in occurrences(lines, name, proposal.language) if place.zone == "code"]
    return any(not lines[place.line][: place.column].rstrip().endswith((".", "->", "::")) for place in places)


def _not_imported(proposal: Proposal) -> bool:
    """Whether Python code uses a standard-library module that is not imported."""
    if ALIASES.get(proposal.language, proposal.language) != "python":
        return False
    before = _words(proposal.lines)
    modules = {name for line in proposal.new for name in _MODULE.findall(line)} - before
    whole = proposal.whole or proposal.result
    return any(_used_bare(proposal.new, name, proposal) and not _defines(whole, name, proposal) for name in modules & sys.stdlib_module_names)


def breaks(proposal: Proposal) -> bool:
    """Whether the edit makes a document unparsable."""
    before, after = "\n".join(proposal.lines), "\n".join(proposal.result)
    return parses(after, proposal.language) is False and parses(before, proposal.language) is True


RULES: tuple[tuple[Callable[[Proposal], bool], str], ...] = (
    (_unchanged, "it changes nothing"),
    (_blank, "it changes white space only"),
    (_control, "it holds control tokens"),
    (_too_many, f"it adds more than {MOST_NEW_LINES} lines"),
    (_loses, f"it removes more than {MOST_LOST_LINES} lines"),
    (_rejected, "it was rejected before"),
    (_undone_before, "it repeats a change that was undone"),
    (_takes_back, "it takes back a recent edit"),
    (_repeats, "it repeats the lines beside it"),
    (_far_above, "it inserts lines above the cursor that no edit calls for"),
    (_comments_out, "it comments code out"),
    (_reflows, "it changes the layout only"),
    (_loses_import, "it removes an import that no edit made unnecessary"),
    (_imports_again, "it imports what is imported already"),
    (_stale_name, "it uses a name that no longer exists"),
    (_not_imported, "it uses a module that is not imported"),
    (breaks, "the document would no longer parse"),
)


def _packed(lines: Sequence[str]) -> str:
    return "".join("".join(lines).split())


def _worded(lines: Sequence[str]) -> int:
    return sum(any(character.isalnum() for character in line) for line in lines)


def _words(lines: Sequence[str]) -> set[str]:
    return set(_WORD.findall("\n".join(lines)))
