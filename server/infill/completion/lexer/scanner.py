"""Reads text from a known state and records what is open. Pure.

A state can be extended: reading text in two pieces gives the same as in one, unless a delimiter of several characters is cut. A last character that
depends on the next one (a backslash, a `<`, a `/`) is left unread.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from infill.completion.lexer import modes
from infill.completion.lexer.languages import String
from infill.completion.lexer.modes import CLOSED_BY, Embedded, Mode

BRACKET, WEAK, STRING, COMMENT, HOLE, TAG, ELEMENT, EMBEDDED = range(8)
"""Kinds of frames. A weak frame may stay open: a bracket in text, type arguments, a line comment."""
_PASSED = frozenset({BRACKET, WEAK})
"""Kinds of frames that the closer of an outer frame also ends."""
_NAME = re.compile(r"<([\w:.$-]*)")
_VOID = frozenset(re.findall(r"\w+", "area base br col embed hr img input link meta param source track wbr"))
_OPTIONAL = frozenset(re.findall(r"\w+", "p li td th tr dt dd option optgroup tbody thead tfoot colgroup html head body"))
"""HTML elements that need no closing tag."""
_OPERAND_WORD = re.compile(
    r"(?<![\w$.])(?:return|typeof|case|in|of|do|else|void|delete|throw|new|yield|await|default|move|and|or|not|if|unless|when|then)\Z"
)


class Frame(NamedTuple):
    """An open construct, such as a bracket or a string."""

    closer: str
    """The text that ends it; a line break for line comments."""
    mode: Mode
    """The mode of the text inside."""
    start: int
    """Offset of the opener."""
    kind: int


class State(NamedTuple):
    """What is open after the first `position` characters of a text, the innermost last; the first frame is the document."""

    stack: tuple[Frame, ...]
    position: int
    heredoc: Frame | None = None
    """A here-document that begins with the next line."""


class Pair(NamedTuple):
    """A closer that was read, and the offset of its opener."""

    opener: int
    start: int
    end: int


class Token(NamedTuple):
    """The match of a mode's rule."""

    text: str
    start: int
    end: int


class Scanner:
    """One pass over a text."""

    def __init__(self, text: str, state: State) -> None:
        self._text = text
        self._stack = list(state.stack)
        self._position = state.position
        self._limit = len(text)
        self._pending = state.heredoc
        self.pairs: list[Pair] = []
        self.broken: list[Frame] = []
        """Frames that needed a closer and had none when an outer frame ended."""

    @property
    def state(self) -> State:
        return State(tuple(self._stack), self._position, self._pending)

    def advance(self, end: int) -> State:
        """Read up to `end`."""
        self._limit = end
        if self._pending and (newline := self._text.find("\n", self._position, end)) >= 0:
            self._read(self._position, newline)
            self._stack.append(self._pending)
            self._position, self._pending = newline, None
        self._position = self._read(self._position, end)
        return self.state

    def _read(self, position: int, end: int) -> int:
        stack, text = self._stack, self._text
        while True:
            mode = stack[-1].mode
            match = mode.match(text, position, end)
            if match is None:
                return end
            action, need = mode.rules[match.lastgroup]
            if action == "partial":
                return match.start(match.lastindex or 0)
            position = match.end()
            if action == "skip":
                continue
            start = match.start(match.lastindex or 0)
            if action == "partial":
                return start
            position = getattr(self, "_" + action)(Token(text[start:position], start, position), need) or position

    # ---- opening

    def _push(self, closer: str, mode: Mode, start: int, kind: int) -> None:
        self._stack.append(Frame(closer, mode, start, kind))

    def _open(self, token: Token, need: None) -> None:
        self._push(CLOSED_BY[token.text], self._stack[-1].mode, token.start, BRACKET)

    def _weak(self, token: Token, need: None) -> None:
        self._push(CLOSED_BY[token.text], self._stack[-1].mode, token.start, WEAK)

    def _string(self, token: Token, need: tuple[String, str]) -> None:
        kind, language = need
        closer = modes.closer_of(token.text)
        self._push(closer, modes.string(language, kind, closer), token.start, STRING)

    def _regex(self, token: Token, need: tuple[String, str]) -> None:
        if self._operand(token.start):
            self._string(token, need)

    def _comment(self, token: Token, language: str) -> None:
        self._push("\n", modes.comment(language, "\n"), token.start, WEAK)

    def _block(self, token: Token, need: tuple[str, str]) -> None:
        self._push(need[0], modes.comment(need[1], need[0]), token.start, COMMENT)

    def _hole(self, token: Token, language: str) -> None:
        opener = token.text.rstrip("$") if token.text[-1] not in CLOSED_BY else token.text[-1]
        closer = CLOSED_BY.get(opener[-1], "}")
        self._push(closer, modes.code(language), token.start, HOLE)

    def _heredoc(self, token: Token, language: str) -> int | None:
        word = re.findall(r"\w+", token.text)[-1]
        frame = Frame(word, modes.heredoc(language, word), token.start, STRING)
        end = self._text.find("\n", token.end, self._limit)
        if end < 0:
            self._pending = frame
            return None
        self._read(token.end, end)  # the line continues after the word
        self._stack.append(frame)
        return end

    def _embedded(self, token: Token, need: Embedded) -> None:
        self._push(need.closer, need.mode, token.end - (len(need.closer) == 1), EMBEDDED)

    def _fence(self, token: Token, need: None) -> None:
        word = token.text.strip("`~{} \t\n").partition(" ")[0]
        self._push("```", modes.fenced(word.lower()), token.start, EMBEDDED)

    def _angle(self, token: Token, need: None) -> None:
        self._push(">", self._stack[-1].mode, token.start, WEAK)

    def _pipe(self, token: Token, need: None) -> None:
        if self._stack[-1].closer == "|":
            self._pop(len(self._stack) - 1, token)
        elif self._operand(token.start):
            self._push("|", self._stack[-1].mode, token.start, WEAK)

    def _quote(self, token: Token, need: None) -> None:
        if not self._close_with(token.text, token):
            before, after = self._text[token.start - 1 : token.start], self._text[token.end : token.end + 1]
            if not before or (not before.isalnum() and not after.isspace()):
                self._push(token.text, self._stack[-1].mode, token.start, WEAK)

    # ---- closing

    def _pop(self, index: int, token: Token) -> None:
        self.pairs.append(Pair(self._stack[index].start, token.start, token.end))
        self.broken += [frame for frame in self._stack[index + 1 :] if frame.kind != WEAK]
        del self._stack[index:]

    def _close_with(self, closer: str, token: Token) -> bool:
        """End the innermost frame with this closer, if it is within reach. In a line comment, end only what the comment opened."""
        for index in range(len(self._stack) - 1, 0, -1):
            frame = self._stack[index]
            if frame.closer == closer:
                self._pop(index, token)
                return True
            if frame.kind not in _PASSED or frame.closer == "\n":
                break
        return False

    def _close(self, token: Token, need: None) -> None:
        self._close_with(token.text, token)

    def _end(self, token: Token, closer: str) -> None:
        self._close_with(closer, token)
        if closer == "\n":
            self.pairs.pop()  # editors add no closer for a line comment

    def _line_end(self, token: Token, need: None) -> None:
        while (frame := self._stack.pop()).kind != STRING:
            pass
        self.broken.append(frame)

    def _angle_end(self, token: Token, need: None) -> None:
        if self._stack[-1].closer == ">":
            self._pop(len(self._stack) - 1, token)

    def _attribute(self, token: Token, need: tuple[String, str]) -> None:
        if self._stack[-1].mode.language != "jsx" and modes.CODE_ATTRIBUTE.search(self._text, max(0, token.start - 60), token.start):
            self._push(token.text, modes.code(need[1], token.text), token.start, EMBEDDED)
        else:
            self._string(token, need)

    def _outer(self, token: Token, need: None) -> None:
        for index in range(len(self._stack) - 1, 0, -1):
            if self._stack[index].kind in {EMBEDDED, ELEMENT}:
                return self._pop(index, token)
        return None

    # ---- elements

    def _element(self, token: Token, dialect: str) -> None:
        if not self._stack[-1].mode.code or self._operand(token.start):
            self._push(">", modes.tag(dialect), token.start, TAG)

    def _self_closed(self, token: Token, need: None) -> None:
        self._pop(len(self._stack) - 1, token)

    def _tag_end(self, token: Token, dialect: str) -> None:
        start = self._stack[-1].start
        self._pop(len(self._stack) - 1, token)
        opener = _NAME.match(self._text, start)
        name = opener[1] if opener else ""
        strict = dialect in {"jsx", "xml"}
        if strict or name.lower() not in _VOID:
            kind = WEAK if not strict and name.lower() in _OPTIONAL else ELEMENT
            self._push(f"</{name.lower()}>", modes.element_content(dialect, name.lower()), start, kind)

    def _closing_tag(self, token: Token, need: None) -> None:
        closer = re.sub(r"\s", "", token.text).lower()
        for index in range(len(self._stack) - 1, 0, -1):
            frame = self._stack[index]
            if frame.closer == closer:
                return self._pop(index, token)
            if frame.kind not in _PASSED and frame.kind != ELEMENT:
                break
        return None

    def _operand(self, position: int) -> bool:
        """Whether an operand, not an operator, is expected at `position`."""
        text = self._text
        while position > 0 and text[position - 1].isspace():
            position -= 1
        before = text[position - 1 : position]
        if before.isalnum() or before in {"_", "$"}:
            return bool(before) and _OPERAND_WORD.search(text, max(0, position - 12), position) is not None
        return before not in {")", "]", "}", '"', "'", "`"} or not before
