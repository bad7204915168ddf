"""The steps of the acceptance: each is a coroutine that returns a sentence and figures, or raises Failure. gpu.py runs them.

On a GPU the model is the 7B shape (bench/shapes.py); with `--device cpu` it is a separate file with the bundled model's weights.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from infill.bench import figures, peer_build, weights
from infill.bench.document import Document
from infill.bench.drive import Driven, engine
from infill.bench.generating import WISH
from infill.bench.ours import engine_pid, stop_engine
from infill.bench.weights import Weights, home
from infill.engine import launch, trial
from infill.engine.protocol import Changed
from infill.models import fit, gguf, hardware, library, planning
from infill.models.fit import Plan
from infill.models.planning import Tuned
from infill.models.store import ModelFile
from infill.settings import Engine
from infill.state import BUNDLED

Outcome = tuple[str, dict[str, Any]]
TOLERANCE = 0.05
"""Maximum relative difference between planned and measured memory."""
RATIO = 0.9
"""Minimum speed as a share of llama-bench's."""
TEXT = "def area(width, height):\n    return width * height\n\n\ndef volume(width, height, depth):\n    return "
PLACE = "# 7919\nimport os\n\n\n"
"""Text before the cursor for generated code, for which the bundled model generates text."""
SHORT = {"generate": {"maxTokens": 64}}
REPEATED = "".join(f"register(name='item_{number}', handler=handle_item, retries=3)\n" for number in range(24)) + "register(name="
CPU_ADDRESS_SPACE = 2 << 30
"""Bytes of the engine's address space, to make it run out of memory without a GPU."""
CPU_CONTEXT = 1 << 20


class Failure(Exception):
    """A step that did not pass: the reason, and the measured figures."""

    def __init__(self, sentence: str, figures: dict[str, Any]) -> None:
        super().__init__(sentence)
        self.figures = figures


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """The input of the steps."""

    device: str
    source: str
    out: Path
    deadline: float
    """For all steps, in seconds of the monotonic clock."""

    def left(self) -> float:
        return self.deadline - time.monotonic()

    @property
    def gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def weights(self) -> Weights:
        return weights.weights("7b", print) if self.gpu else weights.prefix_first()

    @property
    def model(self) -> str:
        """The value for `infill bench --model`."""
        return "7b" if self.gpu else str(self.weights.path)


def infill(given: Given, *arguments: str) -> Any:
    """The JSON output of a command. Raises Failure with the end of its error output."""
    done = subprocess.run([sys.executable, "-m", "infill", *arguments, "--json"], capture_output=True, text=True, timeout=given.left(), check=False)
    if done.returncode:
        raise Failure(f"`infill {' '.join(arguments)}` failed: {' '.join(done.stderr.split())[-300:]}", {})
    return json.loads(done.stdout)


def file_of(measured: Weights) -> ModelFile:
    return ModelFile(id=measured.model_id, title=measured.name, path=measured.path)


async def build(given: Given) -> Outcome:
    """Builds llama.cpp for this GPU with `infill build`, and llama-bench for CUDA from the same archive."""
    if not given.gpu:
        planned = infill(given, "build", "--backend", "cpu", "--dry-run")
        return f"planned only: {planned['backend']}, version {planned['version']}", planned
    made = infill(given, "build", "--backend", given.device, "--source", given.source)
    backends = library.gpu_backends()
    if not backends or not hardware.machine(fresh=True).gpus:
        raise Failure("the build sees no GPU", {"built": made, "backends": backends})
    if peer_build.program("llama-bench") is None:
        options = ("-DGGML_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native")
        await asyncio.to_thread(peer_build.build, print, Path(given.source), 0, options)
    return f"built for {', '.join(backends)}", {"built": made}


async def self_test(given: Given) -> Outcome:
    """Runs the engine's self-test with the plan that the engine would use."""
    file = file_of(given.weights)
    plan = planning.plan_for(file, Engine()).plan
    found = await asyncio.to_thread(trial.self_test, file.path, plan, lambda _: True) if plan else None
    told = {"plan": plan, "result": found}
    if plan is None or found is None or not found.works:
        raise Failure(f"the self-test did not pass: {found.why if found else 'no result'}", told)
    if given.gpu and not plan.gpu_layers:
        raise Failure("the plan puts no layer on the GPU", told)
    return f"passed with {fit.describe(plan, gguf.facts(file.path))}", told


async def offload(given: Given) -> Outcome:
    """Compares planned with measured memory, for every number of layers on the GPU."""
    file = file_of(given.weights)
    facts, machine, rows = gguf.facts(file.path), hardware.machine(fresh=True), []
    base = planning.plan_for(file, Engine()).plan or Plan()
    for count in range(facts.layers + 2):
        plan = msgspec.structs.replace(base, gpu_layers=count, context=min(base.context, fit.CONTEXT))
        rows.append(_compared(fit.need(facts, plan, machine), _loaded(given, file, plan), count, gpu=given.gpu and count > 0))
    wrong = [row["layers"] for row in rows if abs(row["error"]) > TOLERANCE]
    worst = max(rows, key=lambda row: abs(row["error"]))
    sentence = f"{len(rows)} layer counts, largest error {worst['error']:+.1%} with {worst['layers']} layers"
    if wrong:
        raise Failure(f"{sentence}; beyond {TOLERANCE:.0%}: {', '.join(map(str, wrong))}", {"rows": rows})
    return sentence, {"rows": rows}


def _loaded(given: Given, file: ModelFile, plan: Plan) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("loaded.py")), str(file.path), msgspec.json.encode(plan).decode()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=given.left(), check=False, env=library.environment())
    if done.returncode:
        raise Failure(f"loading with {plan.gpu_layers} layers on the GPU failed: {' '.join(done.stderr.split())[-300:]}", {})
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _compared(needed: fit.Need, measured: dict[str, Any], count: int, *, gpu: bool) -> dict[str, Any]:
    """On a GPU, compares with the memory reported by the driver; otherwise with llama.cpp's buffers in main memory, without `overhead`."""
    planned = needed.gpu if gpu else needed.weights + needed.rearranged + needed.kv + needed.compute
    there = measured["gpu"] if gpu else sum(measured["buffers"].values())
    return {"layers": count, "planned": planned, "measured": there, "error": planned / there - 1 if there else 1.0, "buffers": measured["buffers"]}


async def answers(given: Given) -> Outcome:
    """Requests ghost text and generated code through `infill lsp`."""
    document = _document("answers.py", TEXT)
    async with figures.opened(given.weights if given.gpu else weights.weights("bundled"), document, SHORT) as editor:
        began = time.perf_counter()
        shown = await editor.client.ask("textDocument/inlineCompletion", editor.question(document, invoked=True), given.left())
        completed_ms = (time.perf_counter() - began) * 1000
        place = _document("written.py", PLACE)
        await editor.show(place)
        argument = {"uri": editor.uri, "position": place.position(place.cursor), "instruction": WISH}
        told = await editor.client.ask("workspace/executeCommand", {"command": "infill.generate", "arguments": [argument]}, given.left())
    items = shown.get("items", []) if isinstance(shown, dict) else shown or []
    tokens = int((told or {}).get("timings", {}).get("tokensGenerated", 0))
    measured = {"completion_ms": round(completed_ms, 1), "items": len(items), "generated_tokens": tokens}
    if not items or not tokens:
        raise Failure("a completion or a generation was empty", measured)
    return f"a completion in {completed_ms:.0f} ms, a generation of {tokens} tokens", measured


def _document(name: str, text: str) -> Document:
    document = Document(name, "python", text)
    document.cursor = len(text)
    return document


async def cancel(given: Given) -> Outcome:
    """Measures the time from a cancellation until the engine is idle."""
    row = await figures.cancel_to_idle(given.weights, 6)
    told = {"milliseconds": row.measured, "target": row.target, "note": row.note}
    if row.unknown or row.measured > row.target:
        raise Failure(row.unknown or f"idle after {row.measured} ms, target {row.target} ms", told)
    return f"idle after {row.measured} ms (95th percentile; target {row.target} ms)", told


async def drafts(given: Given) -> Outcome:
    """Measures speculative drafts in a repeating text: the time saved, and whether the answer stays the same."""
    async with engine(given.weights, Engine()) as driven:
        for _ in range(3):  # the engine measures during use whether drafts save time
            await driven.ask(REPEATED, tokens=200, slot="learn", speculate=True)
        asked = {on: await driven.ask(REPEATED, tokens=200, slot=f"drafts-{on}", speculate=on) for on in (False, True)}
    spent = {on: found.done.timings for on, found in asked.items()}
    told = {
        "drafted": spent[True].tokens_drafted,
        "accepted": spent[True].tokens_accepted,
        "generate_ms": {"without": spent[False].generate_ms, "with": spent[True].generate_ms},
        "same_text": asked[True].text == asked[False].text,
    }
    if given.gpu and not spent[True].tokens_drafted:
        raise Failure("nothing was drafted", told)
    times = f"{spent[False].generate_ms:.0f} ms without drafts, {spent[True].generate_ms:.0f} ms with"
    return f"{told['accepted']} of {told['drafted']} drafted tokens accepted, {times}", told


async def two_models(given: Given) -> Outcome:
    """Loads a second model in the same engine; both must answer."""
    async with engine(given.weights, Engine()) as driven:
        await driven.client.load(BUNDLED)
        other = Driven(driven.client, BUNDLED, 0.0, driven.folder)
        texts = [(await each.ask(TEXT, tokens=8)).text for each in (driven, other, driven)]
        status = await driven.client.status()
    plans = {model.model: model.plan for model in status.models}
    if len(plans) != 2 or not all(texts):
        raise Failure("not both models are in memory and answer", {"plans": plans, "texts": texts})
    return "both models stay in memory and answer", {"plans": plans}


async def killed(given: Given) -> Outcome:
    """Kills the engine during a request: the request must end, and a new engine must answer the next one."""
    document = _document("killed.py", TEXT)
    async with figures.opened(given.weights, document) as editor:
        first = engine_pid()
        _, answer = editor.client.request("textDocument/inlineCompletion", editor.question(document, invoked=True))
        psutil.Process(first).kill()
        began = time.perf_counter()
        await asyncio.wait([answer], timeout=given.left())
        ended_ms = (time.perf_counter() - began) * 1000
        if not answer.done():
            raise Failure("the request never ended", {})
        shown = await editor.client.ask("textDocument/inlineCompletion", editor.question(document, invoked=True), given.left())
        back_ms, second = (time.perf_counter() - began) * 1000, engine_pid()
    told = {"ended_ms": round(ended_ms, 1), "back_ms": round(back_ms, 1), "new_process": second not in {0, first}}
    if not shown or not told["new_process"]:
        raise Failure("no new engine answered", told)
    return f"the request ended after {ended_ms:.0f} ms, the next suggestion came {back_ms:.0f} ms after the kill", told


async def out_of_memory(given: Given) -> Outcome:
    """Loads a plan that is too large: the allocation fails and the engine must fall back to a smaller plan."""
    measured, told = given.weights, []
    with home(measured):
        file, machine = file_of(measured), hardware.machine(fresh=True)
        base = planning.plan_for(file, Engine()).plan or Plan()
        large = msgspec.structs.replace(base, context=_too_long(gguf.facts(file.path), given))
        planning.keep(file.id, Tuned(machine=planning.fingerprint(machine), plan=large))
        async with _engine_with_little_memory(given, lambda changed: told.append(changed.message)) as client:
            await client.load(file.id)
            plan = (await client.status()).models[0].plan
            text = (await Driven(client, file.id, 0.0, Path()).ask(TEXT, tokens=4)).text
    steps = list(dict.fromkeys(message for message in told if message))
    facts = {"asked_for": large.context, "plan": plan, "said": steps, "answered": bool(text)}
    if f"context of {large.context} tokens" in plan or not text:
        raise Failure("the engine did not step down", facts)
    return f"asked for a context of {large.context} tokens, loaded with {plan}", facts


def _too_long(facts: gguf.Facts, given: Given) -> int:
    """Context in tokens whose KV cache needs twice the memory of all GPUs; without a GPU, more than the engine's address space."""
    if not given.gpu:
        return CPU_CONTEXT
    return int(2 * sum(card.total for card in hardware.machine().gpus) / (sum(facts.kv_widths) * fit.KV_BYTES["f16"])) // 256 * 256


@contextlib.asynccontextmanager
async def _engine_with_little_memory(given: Given, on_changed: Callable[[Changed], None]) -> AsyncIterator[Any]:
    with contextlib.nullcontext() if given.gpu else _address_space(CPU_ADDRESS_SPACE):
        client = await launch.connect_or_start("acceptance", on_changed)
    try:
        client.configure(Engine())
        yield client
    finally:
        await client.aclose()
        await stop_engine()


@contextlib.contextmanager
def _address_space(size: int) -> Iterator[None]:
    """Limits the address space of processes started in the block. Raises Failure on systems without such a limit."""
    if sys.platform != "linux":
        raise Failure("without a GPU, memory can be limited on Linux only", {})
    process = psutil.Process()
    limits = process.rlimit(psutil.RLIMIT_AS)
    process.rlimit(psutil.RLIMIT_AS, (size, limits[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_AS, limits)


async def speed(given: Given) -> Outcome:
    """Runs `infill bench speed`, with llama-bench for comparison if it was built."""
    beside = ["--llama-bench"] if peer_build.program("llama-bench") else []
    if given.gpu and not beside:
        raise Failure("llama-bench was not built", {})
    told = infill(given, "bench", "speed", "--model", given.model, "--rounds", "3", *beside)["speeds"][0]
    sentence = f"evaluation {told['evaluate_per_second']:.0f}, generation {told['generate_per_second']:.1f} tokens/s"
    if beside:
        ratios = [told[f"{kind}_per_second"] / told[f"bench_{kind}"] for kind in ("evaluate", "generate")]
        told["ratios"] = ratios
        sentence += f"; {ratios[0]:.2f} and {ratios[1]:.2f} times llama-bench"
        if given.gpu and min(ratios) < RATIO:
            raise Failure(f"{sentence} (at least {RATIO})", told)
    return sentence, told


async def typing(given: Given) -> Outcome:
    """Runs `infill bench typing` once."""
    told = infill(given, "bench", "typing", "--model", given.model, "--runs", "1")
    lines = {line["what"]: line["sides"]["infill"] for found in told["figures"].values() for line in found if "infill" in line["sides"]}
    median = next((value for what, value in lines.items() if "median" in what), None)
    if median is None:
        raise Failure("the bench gave no median latency", lines)
    return f"median from the key to new ghost text {median:.0f} ms", lines


ALL: dict[str, Callable[[Given], Awaitable[Outcome]]] = {
    "build": build,
    "self-test": self_test,
    "offload": offload,
    "answers": answers,
    "cancel": cancel,
    "drafts": drafts,
    "two models": two_models,
    "killed": killed,
    "out of memory": out_of_memory,
    "speed": speed,
    "typing": typing,
}
"""All steps, in the order of execution."""
