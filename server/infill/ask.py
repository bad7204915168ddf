"""Requests and answers, shared by all packages between the cursor and llama.cpp. Values only: no behaviour, no I/O.

An answer is a stream of `Delta`s that ends with one `Finish` per candidate, then one `Report`. Closing the iterator early (`aclose`, or cancelling
the task that reads it) stops the generation. Errors are a `ProviderError` or a `ModelError`; cancellation is no error.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Priority = Literal["invoked", "automatic", "background"]


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer ends, in addition to the model's end-of-text token."""

    max_tokens: int = 64
    single_line: bool = False
    """End before the first newline that follows visible text."""
    indent: int | None = None
    """End before a non-blank line, other than the first, that is indented by fewer columns than this; None: no limit."""
    whole_lines: bool = False
    """The answer begins at a line's start. A remote server that strips answers also removes its indentation; then `indent` is no limit."""
    tab: Annotated[int, msgspec.Meta(ge=1)] = 8
    """Columns of a tab stop when `indent` is compared."""
    deadline_ms: int = 10_000
    """Maximum time at the provider; the answer ends with the text so far."""
    ignore_end: bool = False
    """Continue after end-of-text: for benchmarks on random weights."""


class Snippet(msgspec.Struct, frozen=True):
    """Text from elsewhere in the project."""

    path: str
    text: str


class Piece(msgspec.Struct, frozen=True):
    """A part of a prompt in a model's own format."""

    text: str
    """Tokenized as plain text: names of control tokens in it stay text."""
    control: str = ""
    """Name of a control token before the text, such as `<|file_sep|>`."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a prompt; the owner of the tokenizer (engine or server) joins them."""

    slot: str
    """Name of the slot in the KV cache: one per document and editor."""
    prefix: str
    suffix: str
    path: str = ""
    snippets: tuple[Snippet, ...] = ()
    candidates: int = 1
    """Number of different answers; with several, all but the first are sampled."""
    sampling: Sampling = Sampling()
    stop: Stop = Stop()
    priority: Priority = "automatic"
    yield_after_line: bool = False
    """After the first line, generate only while no other request waits."""
    remote_allowed: bool = True
    logprobs: bool = False
    """The probability of the answer is used, so remote servers are asked for it."""
    model: str = ""
    """Id of a local model other than the one for completions."""


class Rewriting(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt in a model's own format, for the next edit."""

    slot: str
    """Name of the slot in the KV cache: one per document."""
    model: str
    """Id of a local model; only local models get these formats."""
    pieces: tuple[Piece, ...]
    sampling: Sampling = Sampling()
    stop: Stop = Stop(max_tokens=512)


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds and tokens of one answer."""

    total_ms: float = 0.0
    waited_ms: float = 0.0
    """Time in debounce and queue."""
    first_token_ms: float = 0.0
    evaluate_ms: float = 0.0
    generate_ms: float = 0.0
    tokens_evaluated: int = 0
    tokens_kept: int = 0
    tokens_generated: int = 0
    tokens_drafted: int = 0
    tokens_accepted: int = 0
    """Number of tokens drafted by lookup that the model accepted."""


class Delta(msgspec.Struct, frozen=True):
    """More text of one candidate: whole characters only, lines end with LF."""

    text: str
    candidate: int = 0
    logprob: float | None = None
    """Natural logarithm of the calibrated probability of all text of this candidate so far; None if the provider returns none."""


class Finish(msgspec.Struct, frozen=True):
    """The end of a candidate."""

    candidate: int = 0
    why: Literal["end", "line", "indent", "length", "deadline", "stopped"] = "end"
    mean_logprob: float = 0.0
    first_logprob: float = 0.0
    logprob: float | None = None
    """As in `Delta`, for the whole answer including its end."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The last event of a stream: provider, model and timings."""

    provider: str
    model: str
    timings: Timings = Timings()
    notes: tuple[str, ...] = ()
    interrupted: str = ""
    """Error that interrupted the answer; empty if it ended normally."""


Event = Delta | Finish | Report


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation with an instruct model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """A request to an instruct model; the owner of its chat template renders it."""

    slot: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    stop: Stop = Stop(max_tokens=1024, deadline_ms=300_000)
    remote_allowed: bool = True
    thinking: bool = False
    """Let the model reason before it answers. The reasoning is returned as text between marks that `answers` recognises."""
