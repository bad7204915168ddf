"""`textDocument/codeAction`: generates code from the text at the cursor, in every editor, once an action is chosen.

Actions are offered only where they apply. One that is not possible is replaced by an editor command that helps, such as choosing another model.
Without such a command it is disabled with the reason. VS Code does not list disabled actions.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from lsprotocol import types
from pygls.capabilities import get_capability

from infill.errors import RequestError
from infill.generation import place
from infill.generation.languages import syntax_of
from infill.lsp import client_commands
from infill.lsp.commands import converted
from infill.lsp.documents import Document, Documents
from infill.lsp.generate import Generate, GenerateArgument, Point, Span

KIND = "refactor.rewrite.infill"
NO_INSTRUCTIONS = "The selected model does not follow instructions. Choose an instruct model."
NO_MODEL = "The built-in model only completes Python: download a model to generate code."
NO_WORDS = "Begin the selection with a comment that says how to rewrite it."
_TITLES: dict[place.Kind, str] = {
    "comment": "Generate from this comment",
    "docstring": "Implement this function",
    "signature": "Implement this function",
}
_HELP = {
    NO_MODEL: ("Download a model to generate code...", client_commands.CHOOSE_DOWNLOAD),
    NO_INSTRUCTIONS: ("Choose a model that writes code...", client_commands.CHOOSE_MODEL),
    NO_WORDS: ("Rewrite selection...", client_commands.REWRITE),
}
"""For each reason: title and editor command of the action offered instead."""
_DOCUMENTED = re.compile(r"\s*\n\s*[rRuU]?(\"\"\"|''')")


class Offer(msgspec.Struct, frozen=True):
    """One action: its title, the argument of `infill.generate`, and why it is not possible (empty: it is)."""

    title: str
    argument: GenerateArgument
    disabled: str = ""


class CodeActions:
    """Offers code generation as code actions."""

    def __init__(self, generate: Generate, documents: Documents) -> None:
        self._generate = generate
        self._documents = documents
        self._resolves = False
        self._capabilities = types.ClientCapabilities()

    def announce(self, capabilities: types.ClientCapabilities) -> types.CodeActionOptions:
        """The server's code action options. Remembers whether the editor resolves the edit when an action is chosen."""
        properties = get_capability(capabilities, "text_document.code_action.resolve_support.properties", ())
        self._resolves = "edit" in properties
        self._capabilities = capabilities
        return types.CodeActionOptions(code_action_kinds=[KIND], resolve_provider=True)

    async def on_code_action(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        only = params.context.only
        document = self._documents.get(params.text_document.uri)
        if document is None or (only and not any(kind == KIND or KIND.startswith(f"{kind}.") for kind in only)):
            return []
        actions = [self._action(offer) for offer in self._offers(document, params.range)]
        return list({action.title: action for action in actions}.values())

    async def on_resolve(self, action: types.CodeAction) -> types.CodeAction:
        """Generate the edit of a chosen action. Raises as `Generate.run`."""
        _, action.edit = await self._generate.written(_argument(action.data), action.title)
        return action

    def _action(self, offer: Offer) -> types.CodeAction:
        argument = msgspec.to_builtins(offer.argument)
        action = types.CodeAction(title=offer.title, kind=KIND)
        title, command = _HELP.get(offer.disabled, ("", ""))
        if command and client_commands.runs(self._capabilities, command):
            return types.CodeAction(title=title, kind=KIND, command=types.Command(title=title, command=command))
        if offer.disabled:
            action.disabled = types.CodeActionDisabled(reason=offer.disabled)
        elif self._resolves:
            action.data = argument
        else:
            action.command = types.Command(title=offer.title, command="infill.generate", arguments=[argument | {"apply": "edit"}])
        return action

    def _offers(self, document: Document, span: types.Range) -> list[Offer]:
        offers = self._possible(document, span)
        if not self._generate.is_built_in() or not client_commands.runs(self._capabilities, client_commands.CHOOSE_DOWNLOAD):
            return offers
        return [msgspec.structs.replace(offer, disabled=NO_MODEL) for offer in offers]

    def _possible(self, document: Document, span: types.Range) -> list[Offer]:
        start, end = (document.text.locate(at.line, at.character) for at in (span.start, span.end))
        rewriting = [self._rewriting(document, span)] if start != end else []
        # without a selection eglot sends the range of the word or statement at the cursor: a range within one line may be either
        return [*rewriting, *self._at(document, end, span.end)] if start[0] == end[0] else rewriting

    def _at(self, document: Document, at: tuple[int, int], position: types.Position) -> list[Offer]:
        before, after = document.text.before(*at), document.text.after(*at)
        here = GenerateArgument(uri=document.uri, position=_point(position))
        return [offer for offer in (_from_place(document, before, after, here), self._docstring(document, at, here)) if offer]

    def _rewriting(self, document: Document, span: types.Range) -> Offer:
        first = document.text.line(document.text.locate(span.start.line, 0)[0]).strip()
        mark = syntax_of(document.language).line
        words = first[len(mark) :].strip() if mark and first.startswith(mark) else ""
        reason = NO_INSTRUCTIONS if not self._generate.follows_instructions() else "" if words else NO_WORDS
        argument = GenerateArgument(uri=document.uri, range=Span(_point(span.start), _point(span.end)), instruction=words)
        return Offer("Rewrite selection...", argument, reason)

    def _docstring(self, document: Document, at: tuple[int, int], here: GenerateArgument) -> Offer | None:
        line = document.text.line(at[0])
        syntax = syntax_of(document.language)
        if syntax.body != "indent" or not re.search(syntax.signature, line) or _DOCUMENTED.match(document.text.after(at[0], len(line))):
            return None
        argument = msgspec.structs.replace(here, instruction="Write the docstring of this definition: the docstring alone.")
        return Offer("Write a docstring", argument, "" if self._generate.follows_instructions() else NO_INSTRUCTIONS)


def _from_place(document: Document, before: str, after: str, here: GenerateArgument) -> Offer | None:
    try:
        found = place.find(before + after, len(before), len(before), document.language, "", "    ")
    except RequestError:
        return _block(before, after, here)
    return Offer(_TITLES[found.kind], here)


def _block(before: str, after: str, here: GenerateArgument) -> Offer | None:
    """The action for a blank line after other code."""
    line = before.rpartition("\n")[2] + after.partition("\n")[0]
    if line.strip() or not line or not before.strip():
        return None
    return Offer("Complete this block", msgspec.structs.replace(here, instruction="Complete this block."))


def _point(position: types.Position) -> Point:
    return Point(position.line, position.character)


def _argument(data: Any) -> GenerateArgument:
    try:
        argument: GenerateArgument = converted(data, GenerateArgument)
    except ValueError as exc:
        raise RequestError("This action is not one of infill's.", "Ask for the actions again.") from exc
    return argument
