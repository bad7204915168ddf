"""Closers right of the cursor: how many of them a suggestion repeats, and where it has to end. Pure.

One rule: the line with the suggestion has to be balanced, and closers below have to keep their openers. If plain insertion does that, nothing is
replaced.

foo(|)      `a, b)` is shown and replaces the `)` that the editor added; `a) - len(b` does not replace it
foo(|       a suggestion loses its last line `)` if the next line already closes the bracket
{|}         a suggestion of several lines ends with a line break, so that the brace gets its own line
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from infill.completion.cursor import Cursor, cursor_at, state_behind
from infill.completion.lexer import BRACKET, COMMENT, ELEMENT, STRING, WEAK, Frame, Pair, Scanner, State, scan
from infill.completion.place import OPENERS, Place
from infill.completion.postprocess.below import closed_below

HORIZON = 600
"""Number of characters below the cursor's line whose closers have to keep their openers."""
MOST_CUTS = 8
_REPLACEABLE = re.compile(r"""(?:[\s)\]}>"'`|;:,{(]|\*/|-->|/>|</[\w:.-]*>|%>|\?>|=>)*""")
_COMMENT = re.compile(r"(?:(?:#|//|--).*|/\*.*\*/)?")
_PUNCTUATION = ";:, "


class Fitted(NamedTuple):
    """A suggestion that fits its place."""

    text: str
    replaces: int
    """Number of characters right of the cursor that the text replaces."""


class Candidate(NamedTuple):
    """A beginning of the text, how much it replaces, and how many closers are then missing or too many."""

    text: str
    replaces: int
    faults: int
    state: State


def fitted(text: str, place: Place) -> Fitted:
    """The text as far as it fits, and how many characters right of the cursor it replaces; empty if no part fits."""
    cursor = cursor_at(place)
    whole = scan(cursor.before + text, cursor.state)
    if (comment := _own_comment(whole.state, cursor)) is not None and place.line_after.strip():
        return _before_line_break(text, comment - len(cursor.before), cursor, place)
    if not _needs_care(cursor, whole.state, place):
        return _ended(Candidate(text, 0, 0, whole.state), cursor, place)
    right = Right(cursor, place)
    best = _best(right, text, whole)
    if best.faults > right.faults(cursor.before, cursor.settled, 0) and cursor.closers:
        best = next((cut for cut in _lines(right, text) if cut.faults <= best.faults), Candidate("", 0, 0, cursor.state))
    return _ended(best, cursor, place) if best.text else Fitted("", 0)


def _own_comment(state: State, cursor: Cursor) -> int | None:
    """Offset of the line comment that the text ends in, if the text itself began it."""
    frame = next((frame for frame in state.stack if frame.closer == "\n"), None)
    return frame.start if frame and frame.start >= len(cursor.before) else None


def _before_line_break(text: str, comment: int, cursor: Cursor, place: Place) -> Fitted:
    """For a text that ends in a line comment: put closers that follow on their own line; before anything else, remove the comment."""
    closes_next = cursor.closers and not place.line_after[: cursor.closers[0].start].strip()
    ended = text.rstrip() + "\n" if closes_next else text[:comment].rstrip()
    return fitted(ended, place) if ended else Fitted("", 0)


def _needs_care(cursor: Cursor, state: State, place: Place) -> bool:
    """Whether the text changes what is open, and so affects the text right of the cursor or below."""
    if any(closer.opener >= cursor.state.position for closer in cursor.closers):
        return True  # the meaning of the last character depends on the next one
    before, now = _opened(cursor.state.stack), _opened(state.stack)
    return now != before and (bool(place.line_after.strip()) or now[: len(before)] != before)


def _opened(stack: tuple[Frame, ...]) -> list[tuple[str, int]]:
    return [(frame.closer, frame.start) for frame in stack]


def _best(right: Right, text: str, whole: Scanner) -> Candidate:
    """The longest beginning that has the fewest faults."""
    length = len(right.cursor.before)
    best = right.best(text, whole)
    exits = [pair.start - length for pair in whole.pairs if pair.opener < length <= pair.start]
    for position in exits[: -MOST_CUTS - 1 : -1]:
        if best.faults == 0:
            break
        cut = text[:position].rstrip()
        found = right.best(cut, scan(right.cursor.before + cut, right.cursor.state))
        best = found if found.faults < best.faults else best
    return best


def _lines(right: Right, text: str) -> Iterator[Candidate]:
    """Beginnings of whole lines that leave the same open as before, the longest first."""
    wanted = _opened(right.cursor.state.stack)
    lines = text.split("\n")
    for count in range(len(lines) - 1, 0, -1):
        cut = "\n".join(lines[:count]).rstrip()
        state = scan(right.cursor.before + cut, right.cursor.state).state
        if cut and _opened(state.stack) == wanted:
            yield Candidate(cut, 0, 0, state)


class Right:
    """The text right of a cursor, and what it closes."""

    def __init__(self, cursor: Cursor, place: Place) -> None:
        self.cursor = cursor
        self._line = place.line_after
        self._place = place
        self._below = place.below[len(self._line) : len(self._line) + HORIZON]
        self._owners = self._owners_below(place)

    def _owners_below(self, place: Place) -> dict[int, int]:
        """For each closer below whose opener is left of the cursor: the offset of the opener."""
        cursor = self.cursor
        known = len(cursor.before) + len(self._line)
        text = cursor.before + self._line + self._below
        scanner = Scanner(text, cursor.state)
        state = scanner.advance(known)
        following = next((line for line in self._below.split("\n") if line.strip()), "")
        if place.columns(following) < place.indent:  # a line that is indented less closes nothing that the cursor's line opened
            state = state._replace(stack=tuple(frame for frame in state.stack if frame.start < cursor.line_start))
        pairs = scan(text, state).pairs
        return {pair.start - known: pair.opener for pair in pairs if pair.start >= known and pair.opener < len(cursor.before)}

    def best(self, text: str, told: Scanner) -> Candidate:
        """The candidate with the fewest faults that replaces the fewest characters. `told`: the scanner after the text."""
        before, state = self.cursor.before + text, told.state
        broken = 2 * self._left_open(told.broken)  # two faults: one closer is missing and one is misplaced
        candidates = []
        for count in self._counts(text):
            if self._line[count : count + 1] == "'":
                state = state_behind(before, "'", self.cursor.state, self._place.language)
            candidates.append(Candidate(text, count, broken + self.faults(before, state, count), state))
            state = told.state
        least = min(candidate.faults for candidate in candidates)
        return min((found for found in candidates if found.faults == least), key=lambda found: (self._goes_on(found), self._loose(before, found)))

    def _goes_on(self, found: Candidate) -> int:
        """0 if the rest of the line is replaced, and either the text ends with it or the lines below close the text; else 1."""
        if found.replaces < len(self._line.rstrip()) or not self._line.strip():
            return 1
        opened = found.text.rstrip()[-1:] in OPENERS and found.state.stack[-1].kind == BRACKET  # a block begins at its end
        return 0 if self._repeats_all(found) or (opened and closed_below(found.text, self.cursor, self._place)) else 1

    def _repeats_all(self, found: Candidate) -> bool:
        """Whether the text ends with the whole rest of the line, which opens something for the lines below: `} {`."""
        rest = self._line.strip()
        return rest[-1:] in OPENERS and found.replaces >= len(self._line.rstrip()) and found.text.rstrip().endswith(rest)

    def _loose(self, before: str, found: Candidate) -> int:
        """Number of brackets in text that the suggestion opens and the line does not close."""
        stack = scan(before + self._line[found.replaces :], found.state).state.stack
        return sum(frame.start >= len(self.cursor.before) and frame.kind == WEAK and frame.closer != "\n" for frame in stack)

    def faults(self, before: str, state: State, taken: int) -> int:
        """Number of wrong closers and of frames left open, if `taken` characters of the line are replaced."""
        line = self._line[taken:]
        scanner = Scanner(before + line + self._below, state)
        end = scanner.advance(len(before) + len(line))
        found = {pair.start - len(before) + taken: pair.opener for pair in scanner.pairs if pair.start >= len(before)}
        count = sum(closer.start >= taken and not self._same(closer, found.get(closer.start), state) for closer in self.cursor.closers)
        count += self._left_open(scanner.broken)
        kept = count + self._faults_below(before + line, end)
        if line.strip() or kept == 0:
            return kept
        # nothing follows in the line: the user may close later what the text opens
        ended = end._replace(stack=tuple(frame for frame in end.stack if frame.start < len(self.cursor.before)))
        return min(kept, count + self._faults_below(before + line, ended))

    def _same(self, closer: Pair, opener: int | None, state: State) -> bool:
        """Whether a closer closes the same as before, something in the same line, or what the text then opened: `} else {`."""
        if opener is None or opener == closer.opener:
            return opener is not None
        anew = opener >= len(self.cursor.before) and all(frame.start != closer.opener for frame in state.stack)
        return anew or min(opener, closer.opener) >= self.cursor.line_start

    def _faults_below(self, before: str, state: State) -> int:
        start = self.cursor.line_start
        above = [frame for frame in self.cursor.state.stack if frame.start < start]
        if [frame for frame in state.stack if frame.start < start] == above and not self._left_open(state.stack):
            return 0
        scanner = scan(before + self._below, state)
        found = {pair.start - len(before): pair.opener for pair in scanner.pairs}
        moved = sum(found.get(position) != opener for position, opener in self._owners.items())
        moved += sum(start <= opener < len(self.cursor.before) and self._is_outside(position) for position, opener in found.items())
        return moved + self._left_open(frame for frame in (*scanner.state.stack, *scanner.broken) if frame.start < len(before))

    def _is_outside(self, position: int) -> bool:
        """Whether a closer below is in a line indented less than the cursor's, so that it closes nothing that the cursor's line opened."""
        line = self._below[self._below.rfind("\n", 0, max(0, position)) + 1 :]
        return position >= 0 and self._place.columns(line) < self._place.indent

    def _left_open(self, frames: Iterable[Frame]) -> int:
        return sum(frame.start >= self.cursor.line_start and frame.kind != WEAK for frame in frames)

    def _counts(self, text: str) -> Iterator[int]:
        """Numbers of characters that may be replaced: up to closers and punctuation that are also in the text, in the same order."""
        inside = {position for closer in self.cursor.closers for position in range(closer.start + 1, closer.end)}
        match = _REPLACEABLE.match(self._line)
        characters = iter(text)
        for count in range(match.end() + 1 if match else 1):
            character = self._line[count - 1 : count] if count else ""
            if character.strip() and character not in characters:
                return
            if count not in inside:
                yield count


def _ended(found: Candidate, cursor: Cursor, place: Place) -> Fitted:
    """The candidate, also replacing punctuation right of the cursor, and with the line break that the closer needs."""
    taken = found.replaces + _punctuation(found, cursor, place)
    text = found.text.rstrip() if found.text.endswith("\n") else found.text
    following = place.line_after[taken:]
    frame = _closed_next(cursor.before + found.text, found.state, following)
    if frame is None or frame.start < 0:
        return Fitted(text, taken)
    everything = cursor.before + text
    spaces = len(following) - len(following.lstrip())
    owner = next((closer.opener for closer in cursor.closers if closer.start == taken + spaces), frame.start)
    if _needs_line_break(everything, cursor) or _alone(frame, everything, found.text) or _opened_anew(frame, owner, everything):
        return _with_line_break(text, taken, frame, everything, spaces)
    padded = (
        frame.closer == "}"
        and frame.kind == BRACKET
        and "\n" not in everything[frame.start :]
        and everything[frame.start + 1 : frame.start + 2] == " "
    )
    return Fitted(f"{text} " if padded and following[0] == "}" and text[-1] != " " else text, taken)


def _needs_line_break(everything: str, cursor: Cursor) -> bool:
    """Whether nothing can follow in the line: it ends in a line comment that the text began, or with the delimiter of a here-document."""
    read = scan(everything, cursor.state)
    heredoc = any(pair.end == len(everything) and everything[pair.start] == "\n" for pair in read.pairs[-1:])
    return heredoc or _own_comment(read.state, cursor) is not None


def _with_line_break(text: str, taken: int, frame: Frame, everything: str, spaces: int) -> Fitted:
    """The text with a line break and the indentation of the line that opened the frame."""
    line = everything[everything.rfind("\n", 0, frame.start) + 1 :]
    indentation = line[: len(line) - len(line.lstrip(" \t"))]
    if frame.kind == COMMENT:
        return Fitted(f"{text}\n{indentation}{'' if spaces or frame.closer != '*/' else ' '}", taken)
    return Fitted(f"{text}\n{indentation}", taken + spaces)


def _opened_anew(frame: Frame, owner: int, text: str) -> bool:
    """Whether the text closed a block of lines and opened another one, `} else {`, which the closer on the right now ends."""
    return frame.start > owner and frame.start == len(text) - 1 and "\n" in text[owner:]


def _closed_next(before: str, state: State, following: str) -> Frame | None:
    """The frame that the first closer right of the text closes."""
    if not following.strip():
        return None
    pairs = scan(before + following, state).pairs
    first = len(before) + len(following) - len(following.lstrip())
    opener = next((pair.opener for pair in pairs if pair.start == first), None)
    return next((frame for frame in state.stack if frame.start == opener), None)


def _alone(frame: Frame, text: str, said: str) -> bool:
    """Whether the frame was opened at the end of a line, so that its closer gets its own line."""
    line, broken, _ = text[frame.start :].partition("\n")
    if not broken:
        return False
    if frame.kind == BRACKET:
        return _COMMENT.fullmatch(line[1:].strip()) is not None
    if frame.kind == ELEMENT:
        return line.rstrip().endswith(">") and line.count("<") == 1
    if frame.kind in {STRING, COMMENT}:
        return said.endswith("\n") or (frame.kind == COMMENT and line.strip() in {"/*", "/**", "<!--"})
    return False


def _punctuation(found: Candidate, cursor: Cursor, place: Place) -> int:
    """Number of punctuation characters after the replaced closers that the text also has, after its own closer or at its end."""
    rest = place.line_after[found.replaces :]
    said = found.text.rstrip()
    if (
        rest.strip()
        and not any(map(str.isalnum, rest))
        and said.endswith(rest.rstrip())
        and not any(pair.start >= found.replaces for pair in cursor.closers)
    ):
        return len(rest.rstrip())
    run = rest[: len(rest) - len(rest.lstrip(_PUNCTUATION))].rstrip()
    if not run:
        return 0
    last = next((pair.opener for pair in reversed(cursor.closers) if pair.end <= found.replaces), None)
    length = len(cursor.before)
    pairs = scan(cursor.before + found.text, cursor.state).pairs if last is not None else []
    behind = next((found.text[pair.end - length :] for pair in pairs if pair.opener == last), "")
    head = behind.partition("\n")[0].rstrip()
    for count in range(len(run), 0, -1):
        if said.endswith(run[:count]) or behind.startswith(run[:count]) or ("\n" in behind and head.endswith(run[:count])):
            return count
    return 0
