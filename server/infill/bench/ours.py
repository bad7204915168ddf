"""infill as used by an editor: `infill lsp` over stdio. For every key there is a change and a request, and the previous request is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from infill.bench.client import Client
from infill.bench.document import Change, Document
from infill.bench.processes import cpu_seconds, resident, tree
from infill.bench.recorder import Recorder
from infill.bench.typist import Costs
from infill.bench.weights import Weights
from infill.engine import launch
from infill.errors import InfillError

COST_SECONDS = 0.05
"""Seconds between two checks whether an answer has ended; generation continues after a suggestion is shown."""
REST_SECONDS = 0.1
"""Seconds without cursor movement after which our clients send the cursor's position."""
REST_LOOKS = 100
"""Maximum number of checks (5 seconds) whether the engine is idle, before its counters are read."""
LEAVE_SECONDS = 10.0
READY_SECONDS = 120.0
"""Longest wait in seconds for a model to load before the first key."""
CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "workspace": {"configuration": True, "workspaceFolders": True, "didChangeConfiguration": {"dynamicRegistration": True}},
    "textDocument": {"inlineCompletion": {"dynamicRegistration": False}, "synchronization": {"didSave": True}},
    "window": {"workDoneProgress": True},
}


def settings_for(measured: Weights, threads: int | None, tokens: int | None, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """The default settings, except for the model and what both sides share. Every answer is shown, so that each is timed."""
    chosen: dict[str, Any] = {"models": {"complete": measured.model_id}, "completion": {"eagerness": "high"}}
    if threads:
        chosen["engine"] = {"threads": threads}
    if tokens:
        chosen["completion"]["maxTokens"] = tokens
    for section, values in (more or {}).items():
        chosen[section] = {**chosen.get(section, {}), **values} if isinstance(values, dict) else values
    return chosen


class InfillEditor:
    """An editor connected to infill's language server."""

    name = "infill"

    def __init__(self, home: Path, settings: dict[str, Any], recorder: Recorder, explain: bool = True) -> None:
        self._home, self._settings, self._recorder, self._explain = home, settings, recorder, explain
        self._client: Client | None = None
        self._engine = 0
        self._shown: dict[str, Any] | None = None
        self._running: tuple[int, asyncio.Future[Any]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._before, self._began = 0.0, time.perf_counter()
        self.uri = ""

    @property
    def client(self) -> Client:
        if self._client is None:
            raise InfillError("The language server was not started.")
        return self._client

    @property
    def ghost(self) -> str:
        return self._shown["text"] if self._shown else ""

    @property
    def busy(self) -> bool:
        """Whether a request is pending."""
        return self._running is not None

    async def start(self) -> None:
        """Start and initialize the server, without a document."""
        command = [sys.executable, "-m", "infill", "lsp"]
        self._client = await Client.start(command, os.environ, self._settings, self._home / "server.log")
        await self.client.initialize(CAPABILITIES, self._home)

    async def open(self, document: Document) -> None:
        await self.start()
        await self.show(document)
        await self._wait_until_loaded(document)
        self._before, self._began = self.costs().cpu_seconds, time.perf_counter()

    async def show(self, document: Document) -> None:
        """Open a document."""
        self.uri = (self._home / document.name).as_uri()
        item = {"uri": self.uri, "languageId": document.language, "version": document.version, "text": document.text}
        self.client.notify("textDocument/didOpen", {"textDocument": item})
        self._later(self._tell_cursor(document))

    async def _wait_until_loaded(self, document: Document) -> None:
        """Load the model before the first key, and send one request, as a user would after opening the file."""
        await self.command("infill.loadModel")
        await self.client.ask("textDocument/inlineCompletion", self.question(document, invoked=False), READY_SECONDS)
        facts = await self.command("infill.status")
        if facts and facts.get("kind") == "error":
            raise InfillError(f"infill could not load the model: {facts.get('message')}")

    async def command(self, name: str, *arguments: Any) -> Any:
        return await self.client.ask("workspace/executeCommand", {"command": name, "arguments": list(arguments)}, READY_SECONDS)

    async def edited(self, document: Document, change: Change) -> None:
        self.tell(document, change)
        self._ask(document)

    async def moved(self, document: Document) -> None:
        self._stop()
        self._later(self._tell_cursor(document))

    async def accept(self, document: Document) -> None:
        shown = self._shown
        if shown is None:
            return
        change = document.replace(document.cursor, shown["replaces"], shown["text"])
        self.tell(document, change)
        if command := shown["item"].get("command"):
            self._later(self._quietly(command["command"], *command.get("arguments", [])))
        self._ask(document)

    async def close(self) -> Costs:
        costs = self.costs()
        if self._client is not None:
            with contextlib.suppress(InfillError):
                costs = msgspec.structs.replace(costs, **await self._counted())
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        await stop_engine()
        return costs

    def costs(self) -> Costs:
        """Memory and work of the server and of the engine that it started."""
        engine = tree(engine_pid())
        # the engine is a child of the server that started it
        server = [process for process in tree(self._client.process.pid if self._client else 0) if process not in engine]
        found = {name: group for name, group in (("server", server), ("engine", engine)) if group}
        return Costs(
            cpu_seconds=sum(cpu_seconds(process) for group in found.values() for process in group) - self._before,
            wall_seconds=time.perf_counter() - self._began,
            resident_bytes=sum(resident(process) for group in found.values() for process in group),
            processes={name: sum(resident(process) for process in group) for name, group in found.items()},
        )

    async def _counted(self) -> dict[str, int]:
        """The engine's counters since its models were loaded, over all clients. While it is busy, they are out of date."""
        engine: dict[str, Any] = {}
        for _ in range(REST_LOOKS):
            engine = (await self.command("infill.status")).get("engine") or {}
            if engine.get("state") != "generating" and not engine.get("background"):
                break
            await asyncio.sleep(COST_SECONDS)
        models = engine.get("models", [])
        counters = {"tokens_evaluated": "tokensEvaluated", "tokens_generated": "tokensGenerated"}
        return {name: sum(model[theirs] for model in models) for name, theirs in counters.items()}

    def tell(self, document: Document, change: Change) -> None:
        """Send an edit to the server."""
        content = {"range": change.range, "text": change.inserted}
        params = {"textDocument": {"uri": self.uri, "version": document.version}, "contentChanges": [content]}
        self.client.notify("textDocument/didChange", params)

    async def _tell_cursor(self, document: Document) -> None:
        uri = self.uri
        await asyncio.sleep(REST_SECONDS)
        self.client.notify("infill/cursor", {"textDocument": {"uri": uri}, "position": document.position(document.cursor)})

    def question(self, document: Document, invoked: bool) -> dict[str, Any]:
        """The parameters of a request for ghost text at the cursor."""
        return {
            "textDocument": {"uri": self.uri},
            "position": document.position(document.cursor),
            "context": {"triggerKind": 1 if invoked else 2},
        }

    def _stop(self) -> None:
        """Hide the ghost text, and cancel the pending request."""
        self._shown = None
        if self._running is not None:
            number, answer = self._running
            if not answer.done():
                self._recorder.note("cancelled")
                self.client.cancel(number)
            self._running = None

    def _ask(self, document: Document) -> None:
        self._stop()
        self._recorder.note("asked")
        self._running = self.client.request("textDocument/inlineCompletion", self.question(document, invoked=False))
        self._later(self._receive(self._running, document, document.version))

    async def _receive(self, running: tuple[int, asyncio.Future[Any]], document: Document, version: int) -> None:
        try:
            result, _ = await running[1]
        except InfillError as exc:
            if self._running is running:
                self._recorder.note("failed", str(exc))
            return
        if self._running is not running or document.version != version:
            return
        self._running = None
        items = result.get("items", []) if isinstance(result, dict) else result or []
        self._shown = self.ghost_of(items[0], document) if items else None
        if self._shown:
            self._recorder.shown(self.ghost)
        else:
            self._recorder.note("nothing")
        if self._explain:
            with contextlib.suppress(InfillError):
                await self._cost(document, version)

    def ghost_of(self, item: dict[str, Any], document: Document) -> dict[str, Any] | None:
        """The text to insert at the cursor, and the number of replaced characters to its right."""
        text = item["insertText"] if isinstance(item["insertText"], str) else item["insertText"]["value"]
        replaces = 0
        if where := item.get("range"):
            start, end = document.offset(where["start"]), document.offset(where["end"])
            typed = document.text[start : document.cursor]
            if not text.startswith(typed):
                return None
            text, replaces = text[len(typed) :], end - document.cursor
        return {"text": text, "replaces": replaces, "item": item} if text else None

    async def _cost(self, document: Document, version: int) -> None:
        """Record the cost of the answer after its end, from the server's report on its last request."""
        while document.version == version:
            told = await self.command("infill.explain")
            answer = told.get("answer") or {}
            if document.version == version and (answer.get("complete") or answer.get("ended")):
                self._recorder.note("cost", **_cost_of(told, answer))
                return
            await asyncio.sleep(COST_SECONDS)

    async def _quietly(self, name: str, *arguments: Any) -> None:
        try:
            await self.command(name, *arguments)
        except InfillError as exc:
            self._recorder.note("failed", str(exc))

    def _later(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _cost_of(told: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    source, reason = str(told.get("source") or ""), str(told.get("reason") or "")
    if source in ("cache", "prefetch"):
        # a reused answer was counted at its first request
        return {"source": source, "text": reason}
    names = {
        "evaluated": "tokensEvaluated",
        "kept": "tokensKept",
        "generated": "tokensGenerated",
        "drafted": "tokensDrafted",
        "agreed": "tokensAccepted",
    }
    times = {"evaluate_ms": "evaluateMs", "generate_ms": "generateMs"}
    return {
        "source": source,
        "text": reason,
        **{name: int(answer.get(theirs) or 0) for name, theirs in names.items()},
        **{name: float(answer.get(theirs) or 0) for name, theirs in times.items()},
    }


def engine_pid() -> int:
    """The engine's process id; 0 if none is running."""
    running = launch.running()
    return running.pid if running else 0


async def stop_engine() -> None:
    """Stop the engine if it is running, and wait for its exit."""
    pid = engine_pid()
    if not pid:
        return
    connection = await launch.connect("infill bench")
    if connection is not None:
        with contextlib.suppress(InfillError):
            await connection.shutdown()
        await connection.aclose()
    await asyncio.to_thread(_wait_for_end, pid)


def _wait_for_end(pid: int) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        try:
            process.wait(LEAVE_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
