"""llama-server, used as llama.vim uses it: the best-regarded local completion, on the same llama.cpp, in the same run.

What is followed here is llama.vim's behaviour as its source tells it: 256 lines above and 64 below; no debounce, but never two requests at once (who
comes meanwhile tries again 100 ms later); 250 ms for the first answer and 1,000 ms for the one that it asks for ahead, as if the shown one were
accepted; 250 answers remembered, found again up to 128 typed characters later and when up to three lines have scrolled away. Ring context is off. It
speaks HTTP from inside this process instead of starting curl for each request, and its answers are greedy: both are to its advantage.
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
"""As llama.cpp's own presets for fill-in-the-middle have it."""
START_SECONDS = 180.0
FIELDS = ("content", "timings/prompt_n", "timings/prompt_ms", "timings/predicted_n", "timings/predicted_ms", "tokens_cached", "truncated")

COUNTERS = {"tokens_evaluated": "prompt_tokens_total", "tokens_generated": "tokens_predicted_total"}


class Context(msgspec.Struct, frozen=True):
    """What is sent of a document."""

    prefix: str
    middle: str
    suffix: str
    indent: int

    @property
    def keys(self) -> list[str]:
        """Under what an answer is remembered: as it is, and as it will be when lines have scrolled away."""
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
    """The context at a cursor; `ahead`: as if that were accepted there."""
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
    """An editor with llama.vim's habits, and a llama-server of its own."""

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
        """Show that document; the server is not started."""
        self._document = document

    # ---- what the typist asks for

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
        """All that the server read and wrote, as it counts itself: also for what was thrown away."""
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
        """Batch and context: the presets', or what a model that was trained on little text can take."""
        batch = BATCH if self._weights.trained_context >= 2 * BATCH else self._weights.trained_context // 2 // 128 * 128
        return ["-b", str(batch), "-ub", str(batch), "-c", "0" if batch == BATCH else str(self._weights.trained_context), "--cache-reuse", str(REUSE)]

    # ---- llama.vim

    def _on_move(self) -> None:
        """Every movement of the cursor hides the hint and looks whether one is known."""
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
        """What is known for this place, or for one a little to the left when what was typed since is how that answer began."""
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
    """What llama.vim shows of an answer: nothing that is only white space, or that repeats what stands there."""
    content = content.rstrip("\n")
    line, rest = before.rpartition("\n")[2], after.partition("\n")[0]
    if not (line + rest).strip():
        # the line was sent without its indentation, which the answer brings along
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
