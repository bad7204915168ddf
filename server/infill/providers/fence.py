"""Takes the code out of what a chat model says: the fence and the sentence that such models put around it. Pure, piece by piece."""

from __future__ import annotations

_MARK = "```"
LONGEST_LEAD = 400
"""Characters waited for to see whether the answer begins with a fence (or a sentence and a fence)."""


class Fence:
    """An answer without its fences; without any, the answer as it is."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "lead"
        self._begun = False

    def feed(self, piece: str) -> str:
        """What of the code can be passed on now."""
        if self._state == "after":
            return ""
        self._held += piece
        return self._lead() if self._state == "lead" else self._inside() if self._state == "code" else self._all()

    def end(self) -> str:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, ""
        if self._state == "code":
            return self._given(held.partition("\n" + _MARK)[0])
        return "" if self._state == "after" else held

    def _given(self, text: str) -> str:
        """Text of the code without the newline that was put before it."""
        if text and not self._begun:
            self._begun, text = True, text[1:]
        return text

    def _lead(self) -> str:
        """Until it is known whether there is a fence."""
        start = self._held.find(_MARK)
        if start >= 0:
            if "\n" not in self._held[start:]:
                return ""
            self._held = self._held[self._held.index("\n", start) :]
            self._state = "code"
            return self._inside()
        if self._may_lead():
            return ""
        self._state = "bare"
        return self._all()

    def _may_lead(self) -> bool:
        """Whether what is there may still turn out to be a sentence, or white space, before a fence."""
        said = self._held.lstrip()
        word, space, _ = said.partition(" ")
        known = word.lower() in LEADS if space else any(lead.startswith(word.lower()) for lead in LEADS)
        return len(self._held) < LONGEST_LEAD and (said[:1] in {"", "`"} or known)

    def _inside(self) -> str:
        """What is sure to be code: not what may be the closing fence, whose newline is not code either."""
        closing = "\n" + _MARK
        end = self._held.find(closing)
        if end >= 0:
            self._state = "after"
            return self._given(self._held[:end])
        keep = next((size for size in range(len(_MARK), 0, -1) if self._held.endswith(closing[:size])), 0)
        given, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return self._given(given)

    def _all(self) -> str:
        held, self._held = self._held, ""
        return held


LEADS = frozenset({"here", "here's", "sure", "sure,", "sure!", "certainly", "certainly!", "the", "of"})
"""First words of a sentence before a fence."""
