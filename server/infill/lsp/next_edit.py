"""`textDocument/copilotInlineEdit` and `infill/nextEdit`: suggest the next edit after the last one.

An answer has one logical edit, for exactly the requested version. It is empty if the document changed meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from infill.edits.history import History
from infill.edits.model import MODEL_GROUP
from infill.edits.offers import Offers
from infill.edits.types import Change, Problem, Situation, Suggestion
from infill.lsp.commands import converted
from infill.lsp.configuration import Configuration
from infill.lsp.documents import Document, Documents, same
from infill.lsp.next_edit_model import ModelEdits
from infill.lsp.rules import Rules
from infill.lsp.text import Text

SETTLED_SECONDS = 0.4
"""An edit on the cursor's line is complete after so many seconds without typing."""
REMEMBERED = 64
"""Number of suggestions whose acceptance or rejection can still be recorded."""
MOST_PROBLEMS = 500
ERROR = 1
"""LSP's severity of an error; also used for diagnostics without a severity."""

Told = Literal["shown", "accepted", "rejected", "ignored"]


class Position(msgspec.Struct, frozen=True):
    line: int
    character: int


class Range(msgspec.Struct, frozen=True):
    start: Position
    end: Position


class Diagnostic(msgspec.Struct, frozen=True):
    """A diagnostic of another server, as the client sends it."""

    range: Range
    message: str = ""
    severity: int | None = None


class Context(msgspec.Struct, frozen=True):
    diagnostics: list[Diagnostic] | None = None


class Identifier(msgspec.Struct, frozen=True):
    uri: str
    version: int | None = None


class Params(msgspec.Struct, frozen=True, rename="camel"):
    """The parameters of both requests."""

    text_document: Identifier
    position: Position
    context: Context | None = None


class Given(msgspec.Struct, frozen=True):
    """A suggestion that was sent to the editor."""

    id: str
    document: str
    language: str
    suggestion: Suggestion


class NextEdits:
    """Records changes, and suggests next edits."""

    def __init__(self, configuration: Configuration, documents: Documents, rules: Rules, model: ModelEdits | None = None) -> None:
        self._configuration = configuration
        self._documents = documents
        self._rules = rules
        self.history = History()
        self._offers = Offers(self.history)
        self._given: OrderedDict[str, Given] = OrderedDict()
        self._numbers = itertools.count(1)
        self._problems: dict[str, tuple[int, frozenset[str], frozenset[str]]] = {}
        """For each document: the last requested revision, the problems before that revision, and those at it."""
        self._reason = "nothing was asked"
        self.model = model
        """Used if no rule applies; None: rules only."""
        self.on_told: Callable[[Told, Given], None] = lambda told, given: None
        """Called for each suggestion that was shown, accepted, rejected or ignored."""
        self._offers.on_ignored = self._ignored
        self._counts: dict[str, Counter[Told]] = {}
        """Counts by source since the server started."""

    # ---- document changes

    def changed(self, document: Document) -> None:
        """Record the last change event."""
        splices, document.splices = document.splices, []
        self.history.changed(same(document.uri), splices)

    def saved(self, document: Document) -> None:
        self.history.saved(same(document.uri))

    def closed(self, document: Document) -> None:
        name = same(document.uri)
        self.history.forget(name)
        self._offers.forget(name)
        self._problems.pop(name, None)

    # ---- requests

    async def on_next_edit(self, params: Any) -> dict[str, Any]:
        """`infill/nextEdit`: edits and jumps, with all details."""
        return {"edits": await self._answer(params, jumps=True)}

    async def on_inline_edit(self, params: Any) -> dict[str, Any]:
        """`textDocument/copilotInlineEdit`: edits only, because its clients apply every answer."""
        return {"edits": await self._answer(params, jumps=False)}

    async def on_did_show(self, params: Any) -> None:
        """`textDocument/didShowInlineEdit`."""
        if given := self._of_item(params):
            self._tell("shown", given)

    async def on_rejected(self, params: Any) -> None:
        """`infill/nextEditRejected`: do not offer the edit again, unless it was only replaced by another one."""
        id_ = params.get("id") if isinstance(params, dict) else None
        given = self._given.get(id_) if isinstance(id_, str) else None
        if given is not None and params.get("reason", "rejected") == "rejected":
            self._offers.rejected(given.document, given.suggestion.group)
            self._tell("rejected", given)

    def accepted(self, id_: str) -> bool:
        """Record that the editor applied a suggestion; False if the id is not a next edit."""
        given = self._given.get(id_)
        if given is None:
            return False
        if (change := given.suggestion.change) is not None:
            for one in given.suggestion.rest or (change,):
                self.history.accepted(given.document, one.first, one.first + len(one.new))
        self._tell("accepted", given)
        return True

    def _ignored(self, document: str, suggestion: Suggestion) -> None:
        for given in reversed(self._given.values()):
            if given.document == document and given.suggestion is suggestion:
                self._tell("ignored", given)
                return

    def _tell(self, told: Told, given: Given) -> None:
        self._counts.setdefault(given.suggestion.source, Counter())[told] += 1
        self.on_told(told, given)

    def explain(self) -> dict[str, object]:
        """The result of the last request, without code."""
        counts = {source: dict(counter) for source, counter in self._counts.items()}
        told: dict[str, object] = {"reason": self._reason, "edits": len(self.history.recent()), "counts": counts}
        return told | ({"model": self.model.last} if self.model and self.model.last else {})

    # ---- answering

    async def _answer(self, params: Any, *, jumps: bool) -> list[dict[str, Any]]:
        asked = _params(params)
        await self._configuration.known.wait()
        document = self._documents.get(asked.text_document.uri) if asked else None
        if asked is None or document is None:
            return self._nothing("the document is not open")
        version, revision = asked.text_document.version, document.revision
        if version is not None and document.version is not None and version != document.version:
            return self._nothing("the document has another version")
        if refused := await self._refused(document):
            return self._nothing(refused)
        situation = self._situation(document, asked)
        await self._settle(document, situation)
        if document.revision != revision:
            return self._nothing("the document changed meanwhile")
        found = self._offers.next(situation, self._configuration.settings.next_edit.eagerness)
        if found is None or (found.change is None and not jumps):
            found = await self._from_model(document, situation)
        if document.revision != revision:
            return self._nothing("the document changed meanwhile")
        if found is None:
            return self._nothing(self.model.reason if self.model else "no rule applies")
        self._reason = f"suggested because {found.reason}"
        return [self._item(document, found)]

    async def _from_model(self, document: Document, situation: Situation) -> Suggestion | None:
        """A suggestion of the model, only after a typed edit, as for the rules."""
        last = self.history.last
        if self.model is None or last is None or last.document != situation.document or last.kind != "typed":
            return None
        rejected = {group.removeprefix(MODEL_GROUP) for group in self._offers.refused(situation.document)}
        allowed = not self._rules.known(document).refused
        return await self.model.suggest(document, situation, self.history.undone, rejected, remote_allowed=allowed)

    def _nothing(self, reason: str) -> list[dict[str, Any]]:
        self._reason = reason
        return []

    async def _refused(self, document: Document) -> str:
        if self._configuration.settings.next_edit.mode == "off":
            return "next edits are switched off"
        return self._rules.disabled(document, await self._rules.judge(document))

    async def _settle(self, document: Document, situation: Situation) -> None:
        """If the newest edit is on the cursor's line, wait until typing has paused."""
        newest, line = situation.newest(1), situation.cursor[0]
        if newest and newest[0].first <= line < max(newest[0].end, newest[0].first + 1):
            await asyncio.sleep(max(0.0, document.edited + SETTLED_SECONDS - self._documents.now()))

    def _situation(self, document: Document, asked: Params) -> Situation:
        text, name = document.text, same(document.uri)
        problems = asked.context.diagnostics if asked.context else None
        return Situation(
            document=name,
            language=document.language,
            lines=[line.rstrip("\r\n") for line in text.lines],
            hunks=self.history.of(name),
            cursor=text.locate(asked.position.line, asked.position.character),
            problems=self._judged(document, problems or []),
        )

    def _judged(self, document: Document, diagnostics: list[Diagnostic]) -> list[Problem]:
        """The editor's errors; those that did not exist before the last change are marked as new."""
        name, text = same(document.uri), document.text
        errors = [one for one in diagnostics[:MOST_PROBLEMS] if (one.severity or ERROR) == ERROR]
        now = frozenset(one.message for one in errors)
        revision, before, last = self._problems.get(name, (document.revision, now, now))
        if revision != document.revision:
            before = last
        self._problems[name] = (document.revision, before, now)
        places = [text.locate(one.range.start.line, one.range.start.character) for one in errors]
        return [Problem(*place, one.message, new=one.message not in before) for place, one in zip(places, errors, strict=True)]

    def _item(self, document: Document, found: Suggestion) -> dict[str, Any]:
        given = Given(f"edit-{next(self._numbers)}", same(document.uri), document.language, found)
        self._given[given.id] = given
        while len(self._given) > REMEMBERED:
            self._given.popitem(last=False)
        text, identifier = document.text, {"uri": document.uri, "version": document.version}
        place = text.units(found.line, found.index)
        edit = _edit(text, found.change) if found.change else {"range": _range(place, place), "newText": ""}
        item = {
            "text": edit["newText"],
            "range": edit["range"],
            "textDocument": identifier,
            "command": {"title": "infill: accepted", "command": "infill.didAccept", "arguments": [given.id]},
            "id": given.id,
            "kind": found.kind,
            "source": found.source,
            "reason": found.reason,
            "group": found.group,
            "cursor": _position(place if not found.change else _cursor(text, found)),
        }
        if len(found.rest) > 1:
            item["all"] = {"documentChanges": [{"textDocument": identifier, "edits": [_edit(text, one) for one in found.rest]}]}
        return item | ({"fix": found.fix} if found.fix else {})

    def _of_item(self, params: Any) -> Given | None:
        item = params.get("item") if isinstance(params, dict) else None
        command = item.get("command") if isinstance(item, dict) else None
        arguments = command.get("arguments") if isinstance(command, dict) else None
        first = arguments[0] if isinstance(arguments, list) and arguments else None
        return self._given.get(first) if isinstance(first, str) else None


def _params(params: Any) -> Params | None:
    try:
        found: Params = converted(params, Params)
    except ValueError:
        return None
    return found


def _edit(text: Text, change: Change) -> dict[str, Any]:
    """A change as a text edit: for one changed line the words that differ, else whole lines."""
    old = [line.rstrip("\r\n") for line in text.lines[change.first : change.end]]
    if len(old) == len(change.new) == 1:
        start, before, after = _differing(old[0], change.new[0])
        return {"range": _range(text.units(change.first, start), text.units(change.first, start + len(before))), "newText": after}
    end = _line_end(text)
    whole = "".join(line + end for line in change.new)
    if change.end < len(text.lines):
        return {"range": _range((change.first, 0), (change.end, 0)), "newText": whole}
    if change.first == 0:
        return {"range": _range((0, 0), text.units(change.end - 1, len(old[-1]) if old else 0)), "newText": end.join(change.new)}
    last = len(text.lines) - 1
    above = text.units(change.first - 1, len(text.line(change.first - 1)))
    return {"range": _range(above, text.units(last, len(text.line(last)))), "newText": "".join(end + line for line in change.new)}


def _differing(old: str, new: str) -> tuple[int, str, str]:
    """Index of the first difference of two lines, and the differing parts: whole words, so that a change of one character is visible."""
    start, most = 0, min(len(old), len(new))
    while start < most and old[start] == new[start]:
        start += 1
    while start and (old[start - 1].isalnum() or old[start - 1] == "_"):
        start -= 1
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    while tail and (old[len(old) - tail].isalnum() or old[len(old) - tail] == "_"):
        tail -= 1
    return start, old[start : len(old) - tail], new[start : len(new) - tail]


def _cursor(text: Text, found: Suggestion) -> tuple[int, int]:
    """The cursor after the edit, in the editor's units."""
    line = found.change.new[0] if found.change and found.change.new else ""
    return found.line, Text(line, text.encoding).units(0, min(found.index, len(line)))[1]


def _line_end(text: Text) -> str:
    first = text.lines[0]
    return first[len(first.rstrip("\r\n")) :] or "\n"


def _range(start: tuple[int, int], end: tuple[int, int]) -> dict[str, Any]:
    return {"start": _position(start), "end": _position(end)}


def _position(place: tuple[int, int]) -> dict[str, int]:
    return {"line": place[0], "character": place[1]}
