"""Next edits by any instruct model, local or remote: the fallback if no next-edit model is chosen.

The model gets the recent edits as a diff and the code around the cursor. It answers with the rewritten lines in a fence, or with NO CHANGE.
"""

from __future__ import annotations

import re

from infill.ask import Message
from infill.edits.formats.base import MOST_RECENT, Material, Question, Read, cursor_in, holds, too_long, without_mark
from infill.edits.formats.zeta2 import diff

CURSOR = "<|cursor|>"
ABOVE, BELOW = 8, 15
"""Number of lines of the region above and below the cursor's line."""
AROUND = 40
"""Number of lines of the document shown before and after the region."""
BEGIN, END = "<<<BEGIN>>>", "<<<END>>>"
NO_CHANGE = "NO CHANGE"
SYSTEM = f"""You predict the next edit of a programmer. You get their recent edits as a diff, and the file with the lines {BEGIN} and {END} around \
the lines that you may rewrite; {CURSOR} marks the cursor.
Continue what the recent edits began: the same change in similar lines, the callers of a changed function, the rest of a line. Never take back an \
edit. Change nothing else, and do not reformat.
If no edit follows from the recent ones, answer {NO_CHANGE} and nothing else. Otherwise answer with all lines between {BEGIN} and {END} as they \
should be, in one fenced code block, without the marks and without explanation."""
_FENCE = re.compile(r"^[ \t]*(`{3,})[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_OPENED = re.compile(r"^[ \t]*`{3,}[^\n]*\n", re.MULTILINE)


class Instruct:
    """The format for models with a chat template."""

    name = "instruct"
    controls: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()

    def ask(self, material: Material) -> Question | None:
        lines, line = material.lines, material.cursor[0]
        first, end = max(0, line - ABOVE), min(len(lines), line + BELOW + 1)
        old = lines[first:end]
        if not any(text.strip() for text in old) or too_long(old) or holds(old, (CURSOR, BEGIN, END)):
            return None
        region = [BEGIN, *cursor_in(old, material, first, CURSOR), END]
        shown = [*lines[max(0, first - AROUND) : first], *region, *lines[end : end + AROUND]]
        edits = "".join(map(diff, material.recent[-MOST_RECENT:])) or "(none)\n"
        fence = "`" * max(3, 1 + max((len(run) for text in shown for run in re.findall("`+", text)), default=0))
        asked = f"Recent edits, the newest last:\n{edits}\nFile {material.path}:\n{fence}\n" + "\n".join(shown) + f"\n{fence}\n"
        messages = Message("system", SYSTEM), Message("user", asked)
        return Question(format=self.name, first=first, end=end, old=old, messages=messages, max_tokens=1024)

    def lines(self, question: Question, answer: str) -> list[str]:
        found = _OPENED.search(answer)
        return answer[found.end() :].replace(CURSOR, "").split("\n")[:-1] if found else []

    def read(self, question: Question, answer: str) -> Read | None:
        if answer.strip().strip(".`*").upper() == NO_CHANGE:
            return Read(question.old)
        found = _FENCE.search(answer)
        if found is None:
            return None
        lines = found[2].removesuffix("\n").split("\n")
        return without_mark([line for line in lines if line.strip() not in {BEGIN, END}], CURSOR)
