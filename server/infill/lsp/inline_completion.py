"""`textDocument/inlineCompletion`: converts an answer to ghost text."""

from __future__ import annotations

from lsprotocol import types

from infill.completion.types import Suggestion
from infill.lsp.answers import Answer, Answers


class InlineCompletion:
    """Handles requests for ghost text."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def on_inline_completion(self, params: types.InlineCompletionParams) -> types.InlineCompletionList:
        automatic = params.context.trigger_kind != types.InlineCompletionTriggerKind.Invoked
        popup = params.context.selected_completion_info
        answer = await self._answers.ask(params.text_document.uri, params.position, automatic=automatic, popup=popup)
        if answer is None:
            return types.InlineCompletionList(items=[])
        return types.InlineCompletionList(items=[self._item(answer, suggestion, popup) for suggestion in answer.outcome.suggestions])

    def _item(self, answer: Answer, suggestion: Suggestion, popup: types.SelectedCompletionInfo | None) -> types.InlineCompletionItem:
        line, index = answer.line, answer.index
        start, typed = index, ""
        if popup is not None and (popup_start := answer.document.text.locate(popup.range.start.line, popup.range.start.character)) <= (line, index):
            # while the popup is open, an editor shows only items that replace the popup's whole range
            start = popup_start[1]
            typed = answer.document.text.line(line)[start:index]
        text = typed + suggestion.text
        return types.InlineCompletionItem(
            insert_text=text,
            range=answer.span((line, start), suggestion),
            command=self._answers.give(answer, suggestion),
        )
