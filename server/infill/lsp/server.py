"""The composition root of `infill lsp`: builds every part, maps messages to handlers, and runs until the editor disconnects.

Importing it loads no model, no llama.cpp and no numpy. No engine is started before the first completion request, unless `engine.preload` is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import msgspec
from lsprotocol import types
from pygls.capabilities import ServerCapabilitiesBuilder
from pygls.lsp.server import LanguageServer

from infill import __version__
from infill.completion.pipeline import Completer
from infill.completion.types import Outcome
from infill.errors import InfillError
from infill.generation.choice import chosen, follows_instructions
from infill.generation.writer import Answerer
from infill.lsp.acceptance import Acceptance, ResetArgument
from infill.lsp.answers import Answers
from infill.lsp.background import Background, logged
from infill.lsp.building import BuildArgument, Building
from infill.lsp.code_actions import CodeActions
from infill.lsp.commands import Commands, Nothing
from infill.lsp.configuration import Configuration
from infill.lsp.convert import Encoding
from infill.lsp.documents import Documents, path_of
from infill.lsp.engine import account, background
from infill.lsp.first_run import FirstRun
from infill.lsp.folders import Folders
from infill.lsp.generate import Generate, GenerateArgument
from infill.lsp.indexing import Indexing
from infill.lsp.inline_completion import InlineCompletion
from infill.lsp.messages import Messages
from infill.lsp.models import Argument, ModelCommands, OptionalArgument, SwitchArgument
from infill.lsp.next_edit import NextEdits
from infill.lsp.next_edit_model import ModelEdits
from infill.lsp.popup import Popup
from infill.lsp.progress import Progress
from infill.lsp.provision import Provision
from infill.lsp.remote import ProviderArgument, ProviderCommands
from infill.lsp.rules import Rules
from infill.lsp.snapshot import Snapshots
from infill.lsp.status import Status
from infill.lsp.stream import Inbox, Writer, read_in_thread
from infill.lsp.sync import Sync
from infill.lsp.wire import Wire, converter
from infill.lsp.work import LongWork
from infill.settings import Settings
from infill.stats import Statistics

FAREWELL_SECONDS = 2.0
"""Timeout for closing all parts after the editor has disconnected."""
EXIT_SECONDS = 5.0
"""Longest time from the editor's `exit` to the end of the process, even if a thread hangs."""
DID_SHOW = "textDocument/didShowCompletion"
CURSOR = "infill/cursor"
NEXT_EDIT, INLINE_EDIT = "infill/nextEdit", "textDocument/copilotInlineEdit"
DID_SHOW_EDIT, EDIT_REJECTED = "textDocument/didShowInlineEdit", "infill/nextEditRejected"
DID_PARTIALLY_ACCEPT = "textDocument/didPartiallyAcceptCompletion"
NOTEBOOKS = types.NotebookDocumentSyncOptions(
    notebook_selector=[types.NotebookDocumentFilterWithCells(cells=[types.NotebookCellLanguage(language="*")])], save=False
)

logger = logging.getLogger(__name__)


class ToggleArgument(msgspec.Struct, frozen=True):
    """The argument of `infill.toggle`; without `enabled` the state is inverted."""

    enabled: bool | None = None
    language: str = ""


class Server(LanguageServer):
    """The server of one editor. Its constructor builds all parts explicitly."""

    protocol: Wire

    def __init__(self, settings: Settings, *, trusted: bool | None = None) -> None:
        super().__init__("infill", __version__, protocol_cls=Wire, converter_factory=converter, notebook_document_sync=NOTEBOOKS)
        self.background = Background()
        self.messages = Messages(self)
        self.configuration = Configuration(self, self.messages, self.background, settings, trusted)
        self.bars = Progress(self, self.background)
        self.status = Status(lambda line: self.protocol.notify("infill/status", line), self.bars)
        self.documents = Documents()
        self.rules = Rules(self.documents)
        self.snapshots = Snapshots(self.documents, self.rules)
        self.provision = Provision(settings, on_changed=self.status.engine_changed, tell=self._trouble, background=self.background)
        self.completer = Completer(self.provision.provider, settings)
        self.answers = Answers(
            configuration=self.configuration,
            documents=self.documents,
            rules=self.rules,
            snapshots=self.snapshots,
            completer=self.completer,
            provision=self.provision,
            status=self.status,
            messages=self.messages,
        )
        self.inline_completion = InlineCompletion(self.answers)
        self.popup = Popup(self, self.answers, self.configuration, self.background)
        self.next_edits = NextEdits(self.configuration, self.documents, self.rules, ModelEdits(self.configuration, self.provision, self.documents))
        self.sync = Sync(self.documents, self.rules, self.snapshots, self.completer, self.next_edits, self.background)
        self.indexing = Indexing(self, self.documents, self.messages, self.background)
        self.sync.on_saved = self.indexing.saved
        self.statistics = Statistics()
        self.acceptance = Acceptance(self.answers, self.completer, self.next_edits, self.statistics, self.background)
        self.generate = Generate(
            self.protocol.notify,
            self.workspace_apply_edit_async,
            self.configuration,
            self.documents,
            self.rules,
            self.bars,
            self.status,
            self._writing,
            self.protocol.to_json,
        )
        self.code_actions = CodeActions(self.generate, self.documents)
        self.work = LongWork(self.bars)
        self.models = ModelCommands(
            provision=self.provision,
            configuration=self.configuration,
            messages=self.messages,
            work=self.work,
            background=self.background,
            folder=self._folder,
            settled=self.answers.settled,
            chosen=self._chosen,
            notify=self.protocol.notify,
        )
        self.folders = Folders(self.protocol.notify, self.background)
        self.first_run = FirstRun(self, self.configuration, self.messages, self.models, self.background)
        self.commands = Commands()
        self._connect()

    def _connect(self) -> None:
        """Register commands and handlers, once every part exists."""
        self.answers.on_answered = self._answered
        self._offer_commands()
        self._take_messages()
        self.configuration.follow(self._configured)

    def _writing(self, model: str = "") -> tuple[Answerer, str, bool]:
        """The provider that generates code, the model (by default the chosen one), and whether it follows instructions."""
        folder = str(self.documents.folders[0]) if self.documents.folders else None
        if model:
            from infill.providers import named  # imports every kind of provider

            model = named.full_id(model, self.configuration.settings)
        model, follows = (model, follows_instructions(model)) if model else chosen(self.configuration.settings, folder)
        return cast("Answerer", self.provision.writer(model)), model, follows

    def _offer_commands(self) -> None:
        models, providers = self.models, ProviderCommands(self.provision, self.configuration)
        add = self.commands.add
        add("infill.build", BuildArgument, Building(self.work).build)
        add("infill.checkModel", Argument, models.check)
        add("infill.didAccept", str, self.acceptance.did_accept)
        add("infill.downloadModel", Argument, models.download)
        add("infill.explain", Nothing, self._explain)
        add("infill.generate", GenerateArgument, self.generate.run)
        add("infill.hardware", Nothing, models.hardware)
        add("infill.loadModel", OptionalArgument, models.load)
        add("infill.models", Nothing, models.models)
        add("infill.recommend", Nothing, models.recommend)
        add("infill.removeModel", Argument, models.remove)
        add("infill.showLastRequest", Nothing, providers.last_request)
        add("infill.stats", ResetArgument, self.acceptance.stats)
        add("infill.status", Nothing, self._status)
        add("infill.switchModel", SwitchArgument, models.switch)
        add("infill.testProvider", ProviderArgument, providers.test)
        add("infill.toggle", ToggleArgument, self._toggle)
        add("infill.tune", OptionalArgument, models.tune)
        add("infill.unloadModel", OptionalArgument, models.unload)
        add("infill.verifyModel", Argument, models.verify)
        # pygls sends these names to the editor
        self.protocol.fm.commands.update(dict.fromkeys(self.commands.names, self.commands.on_execute))

    def _take_messages(self) -> None:
        handlers: dict[str, Callable[[Any], Awaitable[Any]]] = {
            types.INITIALIZE: self._on_initialize,
            types.INITIALIZED: self._on_initialized,
            types.SHUTDOWN: self._on_shutdown,
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: self.configuration.on_did_change,
            types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: self._on_did_change_folders,
            types.WORKSPACE_DID_CHANGE_WATCHED_FILES: self.indexing.on_watched_files,
            types.WORKSPACE_EXECUTE_COMMAND: self.commands.on_execute,
            types.TEXT_DOCUMENT_DID_OPEN: self.sync.on_did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: self.sync.on_did_change,
            types.TEXT_DOCUMENT_DID_SAVE: self.sync.on_did_save,
            types.TEXT_DOCUMENT_DID_CLOSE: self.sync.on_did_close,
            types.NOTEBOOK_DOCUMENT_DID_OPEN: self.sync.on_notebook_did_open,
            types.NOTEBOOK_DOCUMENT_DID_CHANGE: self.sync.on_notebook_did_change,
            types.NOTEBOOK_DOCUMENT_DID_CLOSE: self.sync.on_notebook_did_close,
            types.TEXT_DOCUMENT_INLINE_COMPLETION: self.inline_completion.on_inline_completion,
            types.TEXT_DOCUMENT_COMPLETION: self.popup.on_completion,
            types.TEXT_DOCUMENT_CODE_ACTION: self._on_code_action,
            types.CODE_ACTION_RESOLVE: self.code_actions.on_resolve,
            NEXT_EDIT: self.next_edits.on_next_edit,
            INLINE_EDIT: self.next_edits.on_inline_edit,
            DID_SHOW_EDIT: self.next_edits.on_did_show,
            EDIT_REJECTED: self.next_edits.on_rejected,
            CURSOR: self.sync.on_cursor,
            DID_SHOW: self.acceptance.on_did_show,
            DID_PARTIALLY_ACCEPT: self.acceptance.on_did_partially_accept,
        }
        self.protocol.fm.features.update(handlers)
        self.protocol.notifications.update({CURSOR, DID_SHOW, DID_PARTIALLY_ACCEPT, DID_SHOW_EDIT, EDIT_REJECTED})

    # ---- life cycle

    async def _on_initialize(self, params: types.InitializeParams) -> None:
        self.documents.encoding = _encoding(params.capabilities)
        self.documents.folders = _folders(params)
        self.configuration.start(params.initialization_options, self.documents.folders)
        self._configured(self.configuration.settings)
        options = self.protocol.fm.feature_options
        options[types.TEXT_DOCUMENT_INLINE_COMPLETION] = types.InlineCompletionOptions()
        options[types.TEXT_DOCUMENT_COMPLETION] = self.popup.announce()
        options[types.TEXT_DOCUMENT_CODE_ACTION] = self.code_actions.announce(params.capabilities)

    async def _on_initialized(self, params: types.InitializedParams) -> None:
        await self.configuration.on_initialized(params)
        self.popup.configured(self.configuration.settings)
        self.status.open()
        self.folders.open()
        self.indexing.open()
        self.background.start(self._preload(), "loading the model ahead")

    async def _on_did_change_folders(self, params: types.DidChangeWorkspaceFoldersParams) -> None:
        gone = _paths([folder.uri for folder in params.event.removed])
        kept = [folder for folder in self.documents.folders if folder not in gone]
        self.documents.folders = kept + _paths([folder.uri for folder in params.event.added])
        self.configuration.moved(self.documents.folders)
        self._configured(self.configuration.settings)

    async def _on_code_action(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        rests = params.context.trigger_kind == types.CodeActionTriggerKind.Automatic and params.range.start == params.range.end
        if rests:  # many editors request code actions when the cursor rests, and report its position in no other way
            self.sync.cursor_rests(params.text_document.uri, params.range.start)
        return await self.code_actions.on_code_action(params)

    async def _on_shutdown(self, params: None) -> None:
        await self._end()

    def _configured(self, settings: Settings) -> None:
        self.status.forgive()
        self.completer.settings = settings
        self.completer.provider, self.completer.model = self.provision.configure(settings, self._folder()), self.provision.model()
        self.rules.configure(settings)
        self.sync.rules_changed()
        self.popup.configured(settings)
        self.folders.configure(settings.models.folders)
        self.indexing.configure(settings)
        self._say_who_answers()

    def _say_who_answers(self) -> None:
        settings, folder = self.configuration.settings, self._folder()
        generates = chosen(settings, str(folder) if folder else None)[0]
        self.status.configured(settings, provider=self.completer.provider.name, model=self.provision.model(), generates=generates)

    def _folder(self) -> Path | None:
        return self.documents.folders[0] if self.documents.folders else None

    def _chosen(self) -> None:
        """Use the newly chosen model."""
        self.provision.chosen()
        self.status.forgive()
        self.completer.provider, self.completer.model = self.provision.current(), self.provision.model()
        self._say_who_answers()

    def _answered(self, outcome: Outcome, language: str) -> None:
        self.acceptance.answered(outcome, language)
        self.first_run.answered(outcome.model)

    def _trouble(self, error: InfillError) -> None:
        self.status.failed(error)
        self.messages.trouble(error)

    async def _preload(self) -> None:
        await self.configuration.known.wait()
        settings = self.configuration.settings
        if settings.enabled and settings.engine.preload:
            try:
                await self.provision.local.load()
            except InfillError as exc:
                self.status.failed(exc)

    # ---- commands about the whole server

    async def _status(self, argument: Nothing) -> dict[str, Any]:
        return {**msgspec.to_builtins(self.status.line), "engine": await account(self.provision.local), "index": await self.indexing.status()}

    async def _explain(self, argument: Nothing) -> dict[str, object]:
        explained = self.completer.explain()
        model = explained.get("model") or self.provision.model()
        refused = self._refused(explained.get("request"))
        return explained | {
            "model": model,
            "refused": refused,
            "nextEdit": self.next_edits.explain(),
            "background": await background(self.provision.local),
        }

    def _refused(self, request: Any) -> str:
        """Why the text of the last request's document is not sent to remote providers; empty: it is."""
        document = self.documents.get(request["uri"]) if request else None
        return self.rules.known(document).refused if document is not None else ""

    async def _toggle(self, argument: ToggleArgument) -> dict[str, bool]:
        return {"enabled": self.configuration.toggle(enabled=argument.enabled, language=argument.language)}

    # ---- running

    def start_io(self, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None) -> NoReturn:
        """Serve one editor over these streams; ends the process with LSP's exit code."""
        sys.exit(asyncio.run(self._serve(stdin or sys.stdin.buffer, stdout or sys.stdout.buffer)))

    async def _serve(self, stdin: BinaryIO, stdout: BinaryIO) -> int:
        loop = asyncio.get_running_loop()
        protocol = self.protocol
        protocol.finished = loop.create_future()
        writer = Writer(stdout, lambda: loop.call_soon_threadsafe(protocol.ended))
        protocol.set_writer(writer)
        inbox = Inbox(loop.call_soon_threadsafe, protocol.receive)
        read_in_thread(stdin, deliver=inbox.put, ended=lambda: loop.call_soon_threadsafe(protocol.ended))
        code = 1
        try:
            code = await protocol.finished
        finally:
            _exit_within(EXIT_SECONDS, code)
            await self._end()
            writer.close()
        return code

    async def _end(self) -> None:
        """Close all parts, within FAREWELL_SECONDS."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._end_parts(), FAREWELL_SECONDS)

    async def _end_parts(self) -> None:
        self.work.stop_all()
        for end in (self.completer.aclose, self.background.aclose, self.provision.aclose, self._write_statistics):
            await logged(end(), "ending a part of the server")  # a failure does not keep the other parts open

    async def _write_statistics(self) -> None:
        await asyncio.to_thread(self.statistics.flush)


def _exit_within(seconds: float, code: int) -> None:
    """End the process with this code after `seconds`, even if a thread hangs that Python would wait for."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def build(settings: Settings | None = None, *, problems: Sequence[str] = (), trusted: bool | None = None) -> Server:
    """A server that is not yet connected. `trusted` is the workspace trust from `--trust-workspace` or the editor; None: unknown."""
    return Server(settings or Settings(), trusted=trusted)


def _encoding(capabilities: types.ClientCapabilities) -> Encoding:
    """The first of the editor's position encodings that is supported; UTF-16 if it names none."""
    return types.PositionEncodingKind(ServerCapabilitiesBuilder.choose_position_encoding(capabilities)).value


def _folders(params: types.InitializeParams) -> list[Path]:
    if params.workspace_folders:
        return _paths([folder.uri for folder in params.workspace_folders])
    if params.root_uri:
        return _paths([params.root_uri])
    return [Path(params.root_path)] if params.root_path else []


def _paths(uris: Sequence[str]) -> list[Path]:
    return [path for uri in uris if (path := path_of(uri))]
