"""llama-server, used as llama.vim uses it: well-regarded local completion, with the same llama.cpp, in the same run.

This reproduces llama.vim's source. It sends 256 lines above the cursor and 64 below. It has no debounce, but never runs two requests at once: a new
one is retried after 100 ms. The limit is 250 ms for an answer, and 1,000 ms for the prefetch after an assumed acceptance. 250 answers are
cached; they are reused after up to 128 more typed characters and up to three scrolled lines. Ring context is off. Two differences are to its
advantage: HTTP requests are sent from this process instead of starting curl, and its answers are greedy.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec
import psutil

from infill.bench.document import Change, Document
from infill.bench.loopback import get, post
from infill.bench.processes import cpu_seconds, resident
from infill.bench.recorder import Recorder
from infill.bench.typist import Costs
from infill.bench.weights import Weights
from infill.errors import InfillError

PREFIX_LINES, SUFFIX_LINES = 256, 64
TOKENS = 128
FIRST_MS, AHEAD_MS, PROMPT_MS = 250, 1000, 500
RETRY_SECONDS = 0.1
REMEMBERED = 250
LOOK_BACK = 128
SCROLLED_LINES = 3
LONGEST_LINE_SUFFIX = 8
BATCH, REUSE = 1024, 256
"""The values of llama.cpp's presets for fill-in-the-middle."""
START_SECONDS = 180.0
FIELDS = ("content", "timings/prompt_n", "timings/prompt_ms", "timings/predicted_n", "timings/predicted_ms", "tokens_cached", "truncated")

COUNTERS = {"tokens_evaluated": "prompt_tokens_total", "tokens_generated": "tokens_predicted_total"}


class Context(msgspec.Struct, frozen=True):
    """The part of a document that is sent."""

    prefix: str
    middle: str
    suffix: str
    indent: int

    @property
    def keys(self) -> list[str]:
        """The cache keys of an answer: for this context, and for the same context after lines have scrolled out."""
        keys, prefix = [self.key], self.prefix
        for _ in range(SCROLLED_LINES):
            prefix = prefix.partition("\n")[2]
            if not prefix:
                break
            keys.append(f"{prefix}{self.middle}\0{self.suffix}")
        return keys

    @property
    def key(self) -> str:
        return f"{self.prefix}{self.middle}\0{self.suffix}"


def context_of(before: str, after: str, ahead: str = "") -> Context:
    """The context at a cursor. `ahead` is text that is assumed to be accepted there."""
    left, right = before + ahead, after
    above, _, line = left.rpartition("\n")
    rest, _, below = right.partition("\n")
    if not ahead and not (line + rest).strip():
        line, rest, indent = "", "", 0
    else:
        indent = len(line) - len(line.lstrip())
    prefix = "\n".join(above.split("\n")[-PREFIX_LINES:]) + "\n"
    suffix = f"{rest}\n" + "\n".join(below.split("\n")[:SUFFIX_LINES]) + "\n"
    return Context(prefix, line, suffix, indent)


class LlamaVim:
    """An editor that behaves like llama.vim, with its own llama-server."""

    name = "llama-server"

    def __init__(
        self, binary: Path, measured: Weights, folder: Path, recorder: Recorder, threads: int | None, tokens: int | None, port: int = 0
    ) -> None:
        self._binary, self._weights, self._folder, self._recorder = binary, measured, folder, recorder
        self._threads, self._tokens = threads, tokens
        self._port = port or _free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._log: Any = None
        self.remembered: OrderedDict[str, str] = OrderedDict()
        self._job: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._document = Document("", "", "")
        self._before, self._began = 0.0, time.perf_counter()
        self._last_indent = 0
        self.ghost = ""

    def use(self, document: Document) -> None:
        """Use this document; does not start the server."""
        self._document = document

    # ---- the interface for the typist

    async def open(self, document: Document) -> None:
        self.use(document)
        await self._start()
        self._before, self._began = self.costs().cpu_seconds, time.perf_counter()

    async def edited(self, document: Document, change: Change) -> None:
        self._on_move()
        self._ask()

    async def moved(self, document: Document) -> None:
        self.ghost = ""

    async def accept(self, document: Document) -> None:
        document.type(self.ghost)
        self._on_move()
        self._ask()

    async def close(self) -> Costs:
        if self._retry:
            self._retry.cancel()
        if self._job:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
        if self._process is None:
            return Costs()
        costs = msgspec.structs.replace(self.costs(), **await self._counted())
        self._process.kill()
        await self._process.wait()
        self._log.close()
        return costs

    def costs(self) -> Costs:
        assert self._process is not None
        process = psutil.Process(self._process.pid)
        size = resident(process)
        wall = time.perf_counter() - self._began
        return Costs(cpu_seconds=cpu_seconds(process) - self._before, wall_seconds=wall, resident_bytes=size, processes={"llama-server": size})

    async def _counted(self) -> dict[str, int]:
        """The server's own counters of all prompt and generated tokens, including discarded answers."""
        page = await get(self._port, "/metrics") or ""
        found = {name: re.search(rf"^llamacpp:{theirs} (\S+)$", page, re.MULTILINE) for name, theirs in COUNTERS.items()}
        return {name: int(float(count[1])) for name, count in found.items() if count}

    # ---- the server

    async def _start(self) -> None:
        self._log = (self._folder / "llama-server.log").open("ab")
        command = [str(self._binary), "-m", str(self._weights.path), "--host", "127.0.0.1", "--port", str(self._port), "--metrics", *self._sizes()]
        if self._threads:
            command += ["-t", str(self._threads), "-tb", str(self._threads)]
        if self._weights.suffix_first:
            command.append("--spm-infill")
        self._process = await asyncio.create_subprocess_exec(*command, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + START_SECONDS
        while await get(self._port, "/health") is None:
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise InfillError("llama-server did not start.", f"Its log is in {self._folder}.")
            await asyncio.sleep(0.05)

    def _sizes(self) -> list[str]:
        """Options for batch and context: the presets' values, or smaller ones for models with a short training context."""
        batch = BATCH if self._weights.trained_context >= 2 * BATCH else self._weights.trained_context // 2 // 128 * 128
        return ["-b", str(batch), "-ub", str(batch), "-c", "0" if batch == BATCH else str(self._weights.trained_context), "--cache-reuse", str(REUSE)]

    # ---- llama.vim

    def _on_move(self) -> None:
        """On every cursor movement, hide the hint and look for a cached answer."""
        self.ghost = ""
        self._try_hint()

    def _ask(self, ahead: str = "") -> None:
        if self._job is not None:
            if self._retry:
                self._retry.cancel()
            self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._ask, ahead)
            return
        document = self._document
        context = context_of(document.before, document.after, ahead)
        if len(context.suffix.partition("\n")[0]) > LONGEST_LINE_SUFFIX or any(key in self.remembered for key in context.keys):
            return
        indent = self._last_indent if ahead else context.indent
        self._last_indent = indent
        self._recorder.note("asked", "ahead" if ahead else "")
        self._job = asyncio.get_running_loop().create_task(self._work(context, indent, AHEAD_MS if ahead else FIRST_MS))

    async def _work(self, context: Context, indent: int, limit_ms: int) -> None:
        try:
            answer = await post(self._port, "/infill", self._question(context, indent, limit_ms))
        except (OSError, InfillError) as exc:
            self._recorder.note("failed", str(exc))
            answer = {}
        self._recorder.note(
            "cost",
            source="model" if limit_ms == FIRST_MS else "ahead",
            evaluated=int(answer.get("timings/prompt_n", 0)),
            kept=max(0, int(answer.get("tokens_cached", 0)) - int(answer.get("timings/prompt_n", 0)) - int(answer.get("timings/predicted_n", 0))),
            generated=int(answer.get("timings/predicted_n", 0)),
            evaluate_ms=float(answer.get("timings/prompt_ms", 0)),
            generate_ms=float(answer.get("timings/predicted_ms", 0)),
        )
        if "content" in answer:
            for key in context.keys:
                self._remember(key, answer["content"])
            if not self.ghost:
                self._try_hint(fresh=True)
        self._job = None

    def _question(self, context: Context, indent: int, limit_ms: int) -> dict[str, Any]:
        return {
            "id_slot": 0,
            "input_prefix": context.prefix,
            "input_suffix": context.suffix,
            "input_extra": [],
            "prompt": context.middle,
            "n_predict": self._tokens or TOKENS,
            "n_indent": indent,
            "top_k": 1,
            "temperature": 0.0,
            "samplers": ["top_k"],
            "ignore_eos": self._tokens is not None,
            "stream": False,
            "cache_prompt": True,
            "t_max_prompt_ms": PROMPT_MS,
            "t_max_predict_ms": limit_ms,
            "response_fields": list(FIELDS),
        }

    def _remember(self, key: str, content: str) -> None:
        self.remembered[key] = content
        self.remembered.move_to_end(key)
        while len(self.remembered) > REMEMBERED:
            self.remembered.popitem(last=False)

    def _recall(self, context: Context) -> str | None:
        """The cached answer for this context, or for one further left if that answer begins with the text typed since."""
        if context.key in self.remembered:
            self.remembered.move_to_end(context.key)
            return self.remembered[context.key]
        text, best = context.prefix + context.middle, ""
        for back in range(1, min(LOOK_BACK, len(text) - 1) + 1):
            content = self.remembered.get(f"{text[:-back]}\0{context.suffix}")
            if content and content.startswith(text[-back:]) and len(content) - back > len(best):
                best = content[back:]
        return best or None

    def _try_hint(self, fresh: bool = False) -> None:
        document = self._document
        content = self._recall(context_of(document.before, document.after))
        if content is None:
            return
        self.ghost = shown_of(content, document.before, document.after)
        if self.ghost:
            self._recorder.shown(self.ghost, "model" if fresh else "cache")
            self._ask(ahead=self.ghost)
        else:
            self._recorder.note("nothing")


def shown_of(content: str, before: str, after: str) -> str:
    """The text that llama.vim shows: nothing if it is only white space or repeats the existing text."""
    content = content.rstrip("\n")
    line, rest = before.rpartition("\n")[2], after.partition("\n")[0]
    if not (line + rest).strip():
        # the prompt lacks the line's indentation, which the answer contains
        lead = min(len(content) - len(content.lstrip(" \t")), len(line))
        content = content[lead:]
    below = re.sub(r"^(?:[ \t]*\n)+", "", after.partition("\n")[2])
    lines = content.split("\n")
    repeats = line + lines[0] == below.partition("\n")[0] and (len(lines) == 1 or below.partition("\n")[2].startswith("\n".join(lines[1:])))
    if not content.strip() or content == rest or repeats:
        return ""
    return content


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
