"""The words of asking and answering, shared by everybody between the cursor and llama.cpp. Values only: no behaviour, no I/O.

An answer is a stream of `Delta`s that ends with one `Finish` per candidate, then one `Report`. Closing the iterator early (`aclose`, or cancelling
the task that reads it) stops the work wherever it is done. Trouble is a `ProviderError` or a `ModelError`; being cancelled is not trouble.
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
    """Where an answer ends, beside the model's own end-of-text."""

    max_tokens: int = 64
    single_line: bool = False
    """End before the first newline that follows something other than white space."""
    indent: int | None = None
    """End before a non-blank line that is indented by fewer columns than this and follows another one; None: no limit."""
    whole_lines: bool = False
    """The answer begins at a line's start: a remote server that strips answers also takes its indentation, and then `indent` is no limit."""
    tab: Annotated[int, msgspec.Meta(ge=1)] = 8
    """Columns to the next multiple of which a tab reaches where that is counted."""
    deadline_ms: int = 10_000
    """End, with what is there, after this long in the provider's hands."""
    ignore_end: bool = False
    """Go on past end-of-text: for benchmarks on random weights."""


class Snippet(msgspec.Struct, frozen=True):
    """Text from elsewhere in the project."""

    path: str
    text: str


class Piece(msgspec.Struct, frozen=True):
    """A part of a prompt in a model's own format."""

    text: str
    """Tokenized as plain text: names of control tokens in it stay text."""
    control: str = ""
    """The name of a control token that stands before the text, such as `<|file_sep|>`."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Parts only: whoever holds the tokenizer joins them."""

    slot: str
    """Whose share of the KV cache this is: one per document and editor."""
    prefix: str
    suffix: str
    path: str = ""
    snippets: tuple[Snippet, ...] = ()
    candidates: int = 1
    """How many different answers; more than one makes all but the first sampled."""
    sampling: Sampling = Sampling()
    stop: Stop = Stop()
    priority: Priority = "automatic"
    yield_after_line: bool = False
    """Once the first line is complete, go on only as long as nobody else asks."""
    remote_allowed: bool = True
    logprobs: bool = False
    """The probability of the answer is of use: remote servers are asked for it."""
    model: str = ""
    """Another local model than the one that completes."""


class Rewriting(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt in a model's own format, for the next edit."""

    slot: str
    """Whose share of the KV cache this is: one per document."""
    model: str
    """A local model; these formats are asked of no other."""
    pieces: tuple[Piece, ...]
    sampling: Sampling = Sampling()
    stop: Stop = Stop(max_tokens=512)


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds and tokens of one answer."""

    total_ms: float = 0.0
    waited_ms: float = 0.0
    """Debounce and queue."""
    first_token_ms: float = 0.0
    evaluate_ms: float = 0.0
    generate_ms: float = 0.0
    tokens_evaluated: int = 0
    tokens_kept: int = 0
    tokens_generated: int = 0
    tokens_drafted: int = 0
    tokens_accepted: int = 0
    """Of those drafted by lookup, how many the model agreed with."""


class Delta(msgspec.Struct, frozen=True):
    """More text of one candidate: whole characters only, lines end with LF."""

    text: str
    candidate: int = 0
    logprob: float | None = None
    """Natural logarithm of the calibrated probability of all text of this candidate so far; None: the provider does not tell."""


class Finish(msgspec.Struct, frozen=True):
    """A candidate's end."""

    candidate: int = 0
    why: Literal["end", "line", "indent", "length", "deadline", "stopped"] = "end"
    mean_logprob: float = 0.0
    first_logprob: float = 0.0
    logprob: float | None = None
    """As in `Delta`, of the whole answer and of its ending there."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The last thing in a stream: who answered, and what it cost."""

    provider: str
    model: str
    timings: Timings = Timings()
    notes: tuple[str, ...] = ()
    interrupted: str = ""
    """What broke the answer off; empty: it ended as it should."""


Event = Delta | Finish | Report


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation with an instruct model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """A question to an instruct model, put in its own chat template by whoever holds it."""

    slot: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    stop: Stop = Stop(max_tokens=1024, deadline_ms=300_000)
    remote_allowed: bool = True
    thinking: bool = False
    """Let the model reason before it answers; the reasoning comes as text, between marks that `answers` knows."""
