"""The document that an author edits, with a cursor; stands for an editor's buffer. No I/O."""

from __future__ import annotations

import msgspec


class Change(msgspec.Struct, frozen=True):
    """One edit of the text: `removed` at `start` was replaced with `inserted`."""

    start: int
    removed: str
    inserted: str
    range: dict[str, dict[str, int]]
    """The removed range in LSP positions."""


class Document:
    """A file being edited."""

    def __init__(self, name: str, language: str, text: str) -> None:
        self.name, self.language, self.text = name, language, text
        self.version = 1
        self.cursor = 0

    def replace(self, start: int, removed: int, inserted: str) -> Change:
        """Replace text, and put the cursor after the inserted text."""
        gone = self.text[start : start + removed]
        where = {"start": self.position(start), "end": self.position(start + removed)}
        self.text = self.text[:start] + inserted + self.text[start + removed :]
        self.cursor = start + len(inserted)
        self.version += 1
        return Change(start, gone, inserted, where)

    def type(self, text: str) -> Change:
        return self.replace(self.cursor, 0, text)

    def delete(self, count: int) -> Change:
        """Delete characters before the cursor."""
        return self.replace(self.cursor - count, count, "")

    @property
    def before(self) -> str:
        return self.text[: self.cursor]

    @property
    def after(self) -> str:
        return self.text[self.cursor :]

    def position(self, offset: int) -> dict[str, int]:
        """The LSP position of an offset: the line, and the UTF-16 code units in the line."""
        start = self.text.rfind("\n", 0, offset) + 1
        return {"line": self.text.count("\n", 0, offset), "character": len(self.text[start:offset].encode("utf-16-le")) // 2}

    def offset(self, position: dict[str, int]) -> int:
        """The offset of an LSP position."""
        start = 0
        for _ in range(position["line"]):
            start = self.text.index("\n", start) + 1
        line = self.text[start:].partition("\n")[0]
        return start + len(line.encode("utf-16-le")[: position["character"] * 2].decode("utf-16-le"))
