"""`textDocument/completion`: the suggestion as one item of the completion list, for editors without ghost text.

The setting `completion.popup` decides; by default the item is offered to editors without inline completion. Changes use dynamic registration, where
supported.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability

from infill.completion.types import Suggestion
from infill.lsp.answers import Answer, Answers
from infill.lsp.background import Background
from infill.lsp.configuration import Configuration
from infill.settings import Settings

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

LONGEST_LABEL = 80
"""Maximum length of the label in characters, because lists are narrow."""
REGISTRATION = "infill-popup"
_WORD = re.compile(r"\w*\Z")


class Popup:
    """Offers one item in the completion list."""

    def __init__(self, server: LanguageServer, answers: Answers, configuration: Configuration, background: Background) -> None:
        self._server = server
        self._answers = answers
        self._configuration = configuration
        self._background = background
        self._static = False
        self._registered = False

    def wanted(self) -> bool:
        """Whether this editor gets the item."""
        setting = self._configuration.settings.completion.popup
        has_ghost_text = get_capability(self._server.client_capabilities, "text_document.inline_completion", None) is not None
        return setting == "always" or (setting == "auto" and not has_ghost_text)

    def announce(self) -> types.CompletionOptions | None:
        """The completion options for `initialize`; None: not offered at start."""
        self._static = self.wanted()
        return types.CompletionOptions() if self._static else None

    def configured(self, settings: Settings) -> None:
        """Register or unregister the item, if the editor supports dynamic registration; else `on_completion` returns an empty list."""
        if self._static or not get_capability(self._server.client_capabilities, "text_document.completion.dynamic_registration", False):
            return
        if self.wanted() != self._registered:
            self._registered = not self._registered
            self._background.start(self._register() if self._registered else self._unregister(), "offering the popup")

    async def on_completion(self, params: types.CompletionParams) -> types.CompletionList:
        if not self.wanted():
            return types.CompletionList(is_incomplete=False, items=[])
        # the trigger kind does not show whether the user opened the list by a key or it opened while typing
        answer = await self._answers.ask(params.text_document.uri, params.position, automatic=True)
        suggestions = answer.outcome.suggestions[:1] if answer is not None else ()
        return types.CompletionList(is_incomplete=True, items=[self._item(answer, one) for one in suggestions if answer is not None])

    def _item(self, answer: Answer, suggestion: Suggestion) -> types.CompletionItem:
        before = answer.document.text.line(answer.line)[: answer.index]
        # editors match the typed part of the word with the filter text, so the item starts where the word does
        word = (_WORD.search(before) or [""])[0]
        text = word + suggestion.text
        return types.CompletionItem(
            label=_label(text),
            kind=types.CompletionItemKind.Text,
            detail=f"infill {answer.outcome.model}".strip(),
            documentation=self._documentation(text, answer.request.language),
            filter_text=text.partition("\n")[0] or word,
            sort_text=" ",  # sorts before every name; not NUL, which Emacs does not accept in JSON
            insert_text_format=types.InsertTextFormat.PlainText,
            insert_text_mode=types.InsertTextMode.AsIs,
            text_edit=types.TextEdit(range=answer.span((answer.line, answer.index - len(word)), suggestion), new_text=text),
            command=self._answers.give(answer, suggestion),
        )

    def _documentation(self, text: str, language: str) -> types.MarkupContent | str:
        formats = get_capability(self._server.client_capabilities, "text_document.completion.completion_item.documentation_format", [])
        if types.MarkupKind.Markdown in formats:
            return types.MarkupContent(kind=types.MarkupKind.Markdown, value=_fenced(text, language))
        return text

    async def _register(self) -> None:
        wish = types.Registration(id=REGISTRATION, method=types.TEXT_DOCUMENT_COMPLETION, register_options={"documentSelector": None})
        await self._server.client_register_capability_async(types.RegistrationParams(registrations=[wish]))

    async def _unregister(self) -> None:
        wish = types.Unregistration(id=REGISTRATION, method=types.TEXT_DOCUMENT_COMPLETION)
        await self._server.client_unregister_capability_async(types.UnregistrationParams(unregisterations=[wish]))


def _label(text: str) -> str:
    """The first line that is not blank, shortened."""
    first = next((line for line in text.split("\n") if line.strip()), text).strip()
    return first if len(first) <= LONGEST_LABEL else first[: LONGEST_LABEL - 1] + "…"


def _fenced(text: str, language: str) -> str:
    """The suggestion as a Markdown code block, with a fence longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
