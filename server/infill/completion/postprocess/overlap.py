"""Removes text that is already around the cursor. Pure; never removes a line that the document does not contain."""

from __future__ import annotations

import re
from collections import Counter

from infill.completion.cursor import Cursor, cursor_at
from infill.completion.lexer import WEAK, scan
from infill.completion.lexer.languages import language_of
from infill.completion.place import CLOSERS, OPENERS, Place
from infill.completion.postprocess.below import closed_below

SIGNIFICANT = 3
"""Minimum number of letters and digits for a line to count as the same line, not only the same punctuation."""
WORDS = 3
"""Number of names from which a line is a repetition, whatever it opens."""
PART = 8
"""Minimum number of characters to recognise a last line that is incomplete."""
_PUNCTUATION = re.compile(r"[^\w=&|?+%^~]*")
"""Punctuation that closers.py replaces if the text repeats it."""
_END = re.compile(r"(?:end\w*|fi|done|esac|next|loop|wend|until)\b")
"""Words that close a block opened by a word."""
_WORD = re.compile(r"(?<![\w.\\])[A-Za-z_$][\w$.]* ?\Z")
_SEVERAL = re.compile(r"\w\W*\s+\W*\w|\w\s*=\Z")
_NAME = re.compile(r"[A-Za-z_$][\w.$:]+")
_DOUBLED = frozenset({"not", "end"})
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        " async await begin break case catch class const continue def default defer do elif else elsif end enum"
        " except export extends final finally fn for foreach from fun func function if impl import in include"
        " interface is let local loop match mod module namespace new not nil null package pass print private"
        " protected pub public raise require return self static struct super switch then this throw trait try type"
        " typedef unless unsafe until use using val var void when where while with yield",
    )
)
"""Words that begin statements, in any language."""
_TAG_START = re.compile(r"</?[\w-]*\Z")
_DOLLARS = frozenset({"php", "shellscript", "perl", "powershell"})
"""Languages whose variables begin with `$`."""
_C_FAMILY = frozenset({"c", "cpp", "objective-c", "objective-cpp", "cuda-cpp"})


def line_not_repeated(text: str, place: Place) -> str:
    """Remove the text left of the cursor if the answer begins with the whole line or its last word."""
    line, bare = place.line_before.lstrip(), text.lstrip(" \t")
    core = line.rstrip()
    if core and bare.startswith(core) and (_is_certain(core, place) or (_repeats(line, bare, place) and _needs_nothing_before(text, place))):
        return _without_blanks(bare[len(core) :], len(line) - len(core))
    word = _last_word(place)
    for name in (word, word.rpartition(".")[2]):
        if bare.startswith(name) and (len(name.strip()) > 1 or _begins_again(name, bare, place)):
            return bare[len(name) :]
    return bare[len(sigil) :] if (sigil := _sigil(place)) and re.match(re.escape(sigil) + r"[A-Za-z_]", bare) else text


def _begins_again(letter: str, text: str, place: Place) -> bool:
    """Whether a text begins with a known word whose first letter is typed: `i` before `if x:`."""
    match = re.match(r"[A-Za-z_]\w+", text)
    if not (match and letter.strip()):
        return False
    around = set(re.findall(r"\w+", place.above + place.below))
    return letter + match[0] not in around and (match[0] in _KEYWORDS or match[0] in around)


def _sigil(place: Place) -> str:
    """The beginning of a tag or variable left of the cursor: `<`, `</`, `<d`, `$`."""
    line, mode = place.line_before, cursor_at(place).state.stack[-1].mode
    found = _TAG_START.search(line) if not mode.code or language_of(mode.language).tags else None
    if found is None and place.language in _DOLLARS and line.endswith("$") and not line.endswith("$$"):
        return "$"
    return found[0] if found else ""


def _without_blanks(text: str, most: int) -> str:
    """Without up to `most` leading spaces and tabs, which are typed already."""
    return text[min(most, len(text) - len(text.lstrip(" \t"))) :]


def may_repeat_line(text: str, place: Place) -> bool:
    """Whether a growing text has so far only repeated the beginning of the line."""
    bare = text.strip()
    return _letters(bare) >= SIGNIFICANT and place.line_before.lstrip().startswith(bare)


def _is_certain(core: str, place: Place) -> bool:
    """Whether a line is so specific that code cannot continue with it: several words, the start of a block or string, `} else {`."""
    if core[0] in CLOSERS and core[-1] == "{" and _letters(core) >= SIGNIFICANT:
        return True
    if not any(map(str.isalpha, core)):
        return core[-1] in "{:" and _letters(core) > 1
    rows = "," in core and not re.search(r"[^\w\s,]", core)
    several = _letters(core) >= SIGNIFICANT and (_SEVERAL.search(core) is not None or len(_NAME.findall(core)) >= WORDS)
    return (several and not rows) or (_letters(core) >= SIGNIFICANT and not _is_code(place))


def _is_doubled(word: str, place: Place) -> bool:
    """Whether code can have the word twice in a row: `long long`."""
    return word in _DOUBLED or (word == "long" and place.language in _C_FAMILY)


def _repeats(line: str, text: str, place: Place) -> bool:
    """Whether a text begins with the line. In rows of numbers or comma-separated values this is no repetition."""
    core = line.rstrip()
    row = core[-1] == "," and not any(opener in core for opener in OPENERS)
    if _letters(core) < 2 or not any(map(str.isalpha, core)) or row or _is_doubled(core, place):
        return False
    return line == core or text[len(core) : len(core) + 1].isspace() or not (core[-1].isalnum() or core[-1] == "_")


def _needs_nothing_before(text: str, place: Place) -> bool:
    """Whether the text closes nothing opened left of the cursor. A repeated line is whole; `max(max(a, b), c)` is not."""
    cursor = cursor_at(place)
    length = len(cursor.before)
    return not any(pair.opener < length <= pair.start for pair in scan(cursor.before + text, cursor.state).pairs)


def _last_word(place: Place) -> str:
    """The name being typed, or the word and space before the cursor, outside of prose; empty if models do not repeat it."""
    match = _WORD.search(place.line_before[-80:])
    if match is None or _is_doubled(match[0].strip(), place) or not _is_code(place):
        return ""
    return match[0]


def _is_code(place: Place) -> bool:
    return cursor_at(place).state.stack[-1].mode.code


def suffix_not_repeated(text: str, place: Place) -> str:
    """Empty if the suggestion's first line is the next line or the rest of this one."""
    first = text.lstrip("\n").partition("\n")[0]
    full = (first if text.startswith("\n") else place.line_before + first).rstrip()
    rest = place.line_after.rstrip()
    if rest and first.rstrip() == rest and _letters(rest) >= SIGNIFICANT:
        return ""
    following = next((line.rstrip() for line in place.below.split("\n")[1:] if line.strip()), "")
    return "" if full == following and _letters(full) >= SIGNIFICANT else text


def tail_trimmed(text: str, place: Place) -> str:
    """Cut before the suffix's next line."""
    lines = text.split("\n")
    below = [line.rstrip() for line in place.below.split("\n")[1:] if line.strip()]
    for start in range(1, len(lines)) if below else ():
        tail = [line.rstrip() for line in lines[start:] if line.strip()]
        whole = bool(tail) and _begins(below, tail)
        if whole or (tail and lines[start].strip() and _arrived(tail, lines[:start], below, place)):
            shorter = "\n".join(lines[:start])
            if not _needed(shorter, text if whole else "", place) and not _ends_own_block(lines, start, place):
                return rest_of_line_trimmed(shorter.rstrip(), place)
    return rest_of_line_trimmed(text, place)


def _begins(below: list[str], tail: list[str]) -> bool:
    """Whether the suffix begins with the lines of `tail`, whose last one may be incomplete."""
    count = len(tail)
    if below[:count] == tail:
        return True
    last = tail[-1]
    return len(below) >= count and below[: count - 1] == tail[:-1] and len(last.strip()) >= PART and below[count - 1].startswith(last)


def _arrived(tail: list[str], said: list[str], below: list[str], place: Place) -> bool:
    """Whether the lines are those below: several lines, or one that is unique nearby. `break;` alone is not enough."""
    count = next((number for number, (line, other) in enumerate(zip(tail, below, strict=False)) if line != other), min(len(tail), len(below)))
    if count > 1 and sum(map(_letters, below[:count])) >= PART:
        return True
    around = Counter(line.strip() for line in (*said, *below, *place.above.split("\n")))
    return any(_letters(line) >= SIGNIFICANT and around[line.strip()] == 1 for line in below[:count])


def _needed(shorter: str, text: str, place: Place) -> bool:
    """Whether what follows closes what the suggestion itself opened. Then it stays, and the suffix's closer belongs to something else."""
    cursor = cursor_at(place)
    opened = _opened(shorter, cursor)
    return opened > (_opened(text, cursor) if text else 0) and not closed_below(shorter, cursor, place)


def _opened(text: str, cursor: Cursor) -> int:
    """Number of frames that the text opens and leaves open."""
    stack = scan(cursor.before + text, cursor.state).state.stack
    return sum(frame.start >= len(cursor.before) and frame.kind != WEAK for frame in stack)


def _ends_own_block(lines: list[str], start: int, place: Place) -> bool:
    """Whether a line such as `end` closes a block that the suggestion opened, in a line of the same column."""
    if not _END.match(lines[start].strip()):
        return False
    width = place.columns(lines[start])
    for number in range(start - 1, -1, -1):
        column = place.columns(lines[number] if number else place.line_before + lines[number])
        if lines[number].strip() and column <= width:
            return column == width and number < start - 1 and (number > 0 or place.line_is_blank)
    return False


def rest_of_line_trimmed(text: str, place: Place) -> str:
    """Remove the rest of the cursor's line from the end, unless the text itself needs it."""
    rest = place.line_after.strip()
    if _PUNCTUATION.fullmatch(rest) or not text.endswith(rest):
        return text
    shorter = text[: -len(rest)]
    in_word = (shorter[-1:].isalnum() or shorter[-1:] == "_") and rest[0].isalnum()
    return text if in_word or not shorter.strip() or _needed(shorter, text, place) else shorter.rstrip(" \t")


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)
