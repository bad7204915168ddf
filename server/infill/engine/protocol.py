"""The protocol between clients and the engine. Imported by both sides; independent of llama.cpp and LSP.

A frame is a 4-byte big-endian length (at most MAX_FRAME) and one message in MessagePack, a tagged union discriminated by `type`. The first frame of a
connection is `Hello` from the client. The engine responds with `Welcome`, or with `Failed` and closes; over TCP a `Challenge` and a `Prove` come
between. Every request has an `id` chosen by the client and gets exactly one `Done` or `Failed`, also when it was cancelled. Before that, a `Complete`
gets any number of `Text`s. docs/develop/protocol.md has the details.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from infill.ask import Finish, Message, Piece, Priority, Sampling, Snippet, Stop, Timings

VERSION = 6
"""Incremented when a message changes. Part of the socket's name, so that a client never connects to another version."""
State = Literal["idle", "loading", "ready", "generating"]
MAX_FRAME = 16 * 1024 * 1024
LONGEST_NAME = 1024
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
"""A model's id, a slot's name, a client's name. Limited, because the engine stores them."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """Base of all messages."""


# ---- from the client


class Hello(Frame, tag="hello", frozen=True):
    version: int
    client: Name
    """The client's name, such as `infill lsp (pid 123)`: shown in `infill engine status`."""
    nonce: str = ""
    """For the proofs of `engine.handshake`; empty on Unix sockets, where the system authenticates the peer."""


class Prove(Frame, tag="prove", frozen=True):
    """The response to a `Challenge`: the client knows the engine's token."""

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
    """Evaluate a prompt at the lowest priority, without generating."""

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
    """Answer a prompt in the model's own format (next edits). Lowest rank among the requests with a waiting user."""

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
    """A document was closed: its slot can be reused when slots run out. No response."""

    slot: Name


class Load(Frame, tag="load", frozen=True):
    """Load a model. The response comes once it has produced one token; until then the old model answers."""

    id: int
    model: Name


class Unload(Frame, tag="unload", frozen=True):
    """Unload a model ("" : all models)."""

    id: int
    model: Name = ""


class AskStatus(Frame, tag="ask_status", frozen=True):
    id: int
    models: bool = True
    """Off: leave out the models, which may be computing; the response is then immediate."""


class Configure(Frame, tag="configure", frozen=True):
    """This client's settings for the engine; with several clients the last explicit value applies. No response."""

    options: dict[str, Any]
    """The `engine` section of the settings, as JSON."""
    latency_target: int = 400
    """`latency.target`: target for the first line in milliseconds; it determines the size of the prompt window."""


class Shutdown(Frame, tag="shutdown", frozen=True):
    """Exit, after a `Farewell` to every client."""

    id: int


# ---- from the engine


class Challenge(Frame, tag="challenge", frozen=True):
    """The response to `Hello` over TCP: proves that the engine knows the token of its status file, and requests the same proof."""

    nonce: str
    proof: str


class Welcome(Frame, tag="welcome", frozen=True):
    version: int
    pid: int


class Text(Frame, tag="text", frozen=True):
    """More text of a candidate; whole characters only."""

    id: int
    text: str
    candidate: int = 0
    logprob: float | None = None
    """As in `ask.Delta`."""


class Done(Frame, tag="done", frozen=True):
    """The end of a request, for any reason."""

    id: int
    finishes: tuple[Finish, ...] = ()
    model: str = ""
    timings: Timings = Timings()
    notes: tuple[str, ...] = ()
    """Shown by `infill.explain`: how the KV cache was used, what was cut."""
    limits: dict[str, float] = {}
    """The engine's current `providers.base.Limits`, by field name."""


class Failed(Frame, tag="failed", frozen=True):
    """A failed request: `error` is a class name of `errors.BY_NAME`."""

    id: int
    error: str
    message: str
    hint: str = ""


class SlotStatus(msgspec.Struct, frozen=True, kw_only=True):
    slot: str
    tokens: int
    moved: int = 0
    """How often its suffix was moved since its last full evaluation."""


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    file_bytes: int = 0
    context: int = 0
    evaluate_per_second: float = 0.0
    generate_per_second: float = 0.0
    tokens_evaluated: int = 0
    """Prompt tokens since it was loaded, including warm-up, prefetching and refreshing."""
    tokens_generated: int = 0
    """Of all requests that have ended, for any reason."""
    slots: tuple[SlotStatus, ...] = ()
    plan: str = ""
    """The plan in one sentence."""
    restricted: str = ""
    """Features that are off because they fail on this machine, and what that costs."""


class Status(Frame, tag="status", frozen=True):
    """Status of the process."""

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
    """Background task: `warming`, `refreshing`, `drafting ahead`, `going on after the first line`; empty for none."""
    loading: str = ""
    """The model that is being loaded."""


class Changed(Frame, tag="changed", frozen=True):
    """Sent to every client without a request: the engine's state changed."""

    state: Literal[State, "problem"]
    model: str = ""
    progress: float = 0.0
    """Of loading, 0 to 1."""
    message: str = ""


class Farewell(Frame, tag="farewell", frozen=True):
    """The engine exits on purpose; the following end of the connection is not a crash. The next request restarts it."""

    reason: str


FromClient = Hello | Prove | Complete | Warm | Generate | Rewrite | Cancel | Forget | Load | Unload | AskStatus | Configure | Shutdown
FromEngine = Challenge | Welcome | Text | Done | Failed | Status | Changed | Farewell
