"""The engine's wire: what editors' servers and the engine say to each other. Imported by both sides; knows neither llama.cpp nor LSP.

A frame is a 4-byte big-endian length (at most MAX_FRAME) and one message in MessagePack, a tagged union discriminated by `type`. The first frame
of a connection is `Hello` from the client; the engine answers `Welcome`, or `Failed` and closes (over TCP a `Challenge` and a `Prove` come between).
Every request carries an `id` of the client's choosing and gets exactly one `Done` or `Failed` (a `Complete` first any number of `Text`s), also when
it was cancelled. docs/develop/protocol.md has the details.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from infill.ask import Finish, Message, Piece, Priority, Sampling, Snippet, Stop, Timings

VERSION = 6
"""Raised whenever a message changes; part of the socket's name, so that versions never mix."""
State = Literal["idle", "loading", "ready", "generating"]
MAX_FRAME = 16 * 1024 * 1024
LONGEST_NAME = 1024
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
"""A model's id, a slot's name, a client's name: the engine keeps them."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """Base of all messages."""


# ---- from the client


class Hello(Frame, tag="hello", frozen=True):
    version: int
    client: Name
    """Who asks, such as `infill lsp (pid 123)`: shown in `infill engine status`."""
    nonce: str = ""
    """For the proofs of `engine.handshake`; empty on Unix sockets, where the system says whose process is at the other end."""


class Prove(Frame, tag="prove", frozen=True):
    """The answer to a `Challenge`: the client knows the engine's token."""

    proof: str


class Complete(Frame, tag="complete", frozen=True):
    """Fill in the middle."""

    id: int
    model: Name
    """A model id such as `local:bundled`; the engine finds the file itself."""
    slot: Name
    prefix: str
    suffix: str
    path: str = ""
    snippets: tuple[Snippet, ...] = ()
    candidates: int = 1
    sampling: Sampling = Sampling()
    stop: Stop = Stop()
    priority: Priority = "automatic"
    yield_after_line: bool = False
    speculate: bool = True


class Warm(Frame, tag="warm", frozen=True):
    """Evaluate a prompt at the lowest priority, generate nothing."""

    id: int
    model: Name
    slot: Name
    prefix: str
    suffix: str
    path: str = ""
    snippets: tuple[Snippet, ...] = ()


class Generate(Frame, tag="generate", frozen=True):
    """Answer a conversation through the model's own chat template."""

    id: int
    model: Name
    slot: Name
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    stop: Stop = Stop(max_tokens=1024, deadline_ms=300_000)
    speculate: bool = True
    thinking: bool = False
    """Let the model reason before it answers."""


class Rewrite(Frame, tag="rewrite", frozen=True):
    """Answer a prompt in the model's own format, of lower rank than all else that is waited for: the next edit."""

    id: int
    model: Name
    slot: Name
    pieces: tuple[Piece, ...]
    sampling: Sampling = Sampling()
    stop: Stop = Stop(max_tokens=512)
    speculate: bool = True


class Cancel(Frame, tag="cancel", frozen=True):
    """Stop the request `id`; it still gets its one `Done` (finish `stopped`)."""

    id: int


class Forget(Frame, tag="forget", frozen=True):
    """A document was closed: its slot may go when room is needed. No answer."""

    slot: Name


class Load(Frame, tag="load", frozen=True):
    """Have a model in memory. Answered when it has produced one token; until then the old one answers."""

    id: int
    model: Name


class Unload(Frame, tag="unload", frozen=True):
    """Give a model's memory back ("" : every model's)."""

    id: int
    model: Name = ""


class AskStatus(Frame, tag="ask_status", frozen=True):
    id: int
    models: bool = True
    """Off: nothing of the models, for which one that computes may have to be waited for; then the answer comes at once."""


class Configure(Frame, tag="configure", frozen=True):
    """This client's wishes for the process; with several clients the last explicit one wins. No answer."""

    options: dict[str, Any]
    """The `engine` section of the settings, as JSON."""
    latency_target: int = 400
    """`latency.target`: milliseconds to the first line, which the window of code is made to suit."""


class Shutdown(Frame, tag="shutdown", frozen=True):
    """Exit, after a `Farewell` to every client."""

    id: int


# ---- from the engine


class Challenge(Frame, tag="challenge", frozen=True):
    """Over TCP the answer to `Hello`: the engine knows the token of its status file, and wants to know whether the client does."""

    nonce: str
    proof: str


class Welcome(Frame, tag="welcome", frozen=True):
    version: int
    pid: int


class Text(Frame, tag="text", frozen=True):
    """More of a candidate; whole characters only."""

    id: int
    text: str
    candidate: int = 0
    logprob: float | None = None
    """As in `ask.Delta`."""


class Done(Frame, tag="done", frozen=True):
    """A request's end, whatever it was."""

    id: int
    finishes: tuple[Finish, ...] = ()
    model: str = ""
    timings: Timings = Timings()
    notes: tuple[str, ...] = ()
    """What `infill.explain` shows: how the KV cache was used, what was trimmed."""
    limits: dict[str, float] = {}
    """The engine's current `providers.base.Limits`, by field name."""


class Failed(Frame, tag="failed", frozen=True):
    """A request that went wrong: `error` is a class name of `errors.BY_NAME`."""

    id: int
    error: str
    message: str
    hint: str = ""


class SlotStatus(msgspec.Struct, frozen=True, kw_only=True):
    slot: str
    tokens: int
    moved: int = 0
    """Times its suffix was moved since it was last evaluated whole."""


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    file_bytes: int = 0
    context: int = 0
    evaluate_per_second: float = 0.0
    generate_per_second: float = 0.0
    tokens_evaluated: int = 0
    """Prompt tokens since it was loaded, warming, drafting ahead and refreshing included."""
    tokens_generated: int = 0
    """Of all requests that have ended, however they did."""
    slots: tuple[SlotStatus, ...] = ()
    plan: str = ""
    """The plan in one sentence."""
    restricted: str = ""
    """What is switched off because it fails on this machine, and what that costs."""


class Status(Frame, tag="status", frozen=True):
    """Everything about the process."""

    id: int
    pid: int
    version: str
    state: State
    models: tuple[ModelStatus, ...] = ()
    resident_bytes: int = 0
    uptime_seconds: float = 0.0
    idle_seconds: float = 0.0
    clients: tuple[str, ...] = ()
    waiting: int = 0
    background: str = ""
    """What it does while no request waits: `warming`, `refreshing`, `drafting ahead`, `going on after the first line`; empty: nothing."""
    loading: str = ""
    """The model that is being loaded."""


class Changed(Frame, tag="changed", frozen=True):
    """Sent to every client unasked: the engine's state changed."""

    state: Literal[State, "problem"]
    model: str = ""
    progress: float = 0.0
    """Of loading, 0 to 1."""
    message: str = ""


class Farewell(Frame, tag="farewell", frozen=True):
    """The engine leaves on purpose; the end of the connection that follows is no crash. Ask again, and it is started again."""

    reason: str


FromClient = Hello | Prove | Complete | Warm | Generate | Rewrite | Cancel | Forget | Load | Unload | AskStatus | Configure | Shutdown
FromEngine = Challenge | Welcome | Text | Done | Failed | Status | Changed | Farewell
