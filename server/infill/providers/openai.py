"""OpenAI's API, also used by vLLM, SGLang, LM Studio, TGI, DeepSeek, llama-cpp-python's server and many others.

For fill-in-the-middle, its `/v1/completions` has only the field `suffix`, which most servers ignore or refuse. So the prompt is rendered for the
model's family. The setting `family` names it, else the server's tokenizer reveals it (`/tokenize` of vLLM and llama.cpp, `/extras/tokenize` of
llama-cpp-python). The setting has two more values: `suffix` (the API fills in) and `chat` (a chat model is asked, as the last resort).
There is no guessing: a model of an unknown family continues the code before the cursor, after one warning.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from msgspec.structs import replace

from infill import continuation
from infill.answers.code import CURSOR
from infill.ask import Instruction, Message, Prompt, Sampling, Stop
from infill.errors import InfillError, ProviderRefused, ProviderUnavailable
from infill.privacy.text import clean
from infill.providers import families
from infill.providers.base import Limits
from infill.providers.dialect import Call, Facts, Piece, RemoteModel
from infill.providers.http import Connection, Deadline

MOST_LOGPROB = 1e-3
"""Rounding can make a log-probability slightly greater than 0."""
LEAST_LOGPROB = -1000.0
"""Servers that do not compute log-probabilities send -9999."""
FILL = (
    "You complete code at the cursor of an editor. The user sends a file with the text <CURSOR> at one place. Answer with nothing but the code that "
    "belongs there: no explanation, no fences, nothing of what stands before or after it. Answer with nothing where nothing belongs."
)


class OpenAi:
    """The API of OpenAI."""

    default_url = "https://api.openai.com/v1"
    limits = Limits(prefix_tokens=2048, suffix_tokens=512, snippet_tokens=1024, remote=True)

    async def model(self, line: Connection, deadline: Deadline) -> str:
        return line.endpoint.model or await only_model(line, deadline)

    async def look(self, line: Connection, deadline: Deadline) -> Facts:
        """The model, and how it fills in the middle."""
        model = await self.model(line, deadline)
        wanted = line.endpoint.family
        if wanted in {"suffix", "chat"}:
            return Facts(model=model, mode=wanted)
        family = families.named(wanted, line.name) if wanted else await self._by_tokenizer(line, model, deadline)
        if family is None:
            warning = continuation.WARNING.format(name=line.name, model=model or "its model")
            hint = continuation.HINT.format(entry=line.name.partition(":")[2])
            return Facts(model=model, mode="continued", warning=InfillError(warning, hint), note=continuation.NOTE)
        return Facts(model=model, family=family, mode="rendered")

    async def _by_tokenizer(self, line: Connection, model: str, deadline: Deadline) -> families.Family | None:
        """The first family whose special tokens are single tokens of the server's tokenizer."""
        tokens = {token.strip() for family in families.table().values() for token in family.evidence}
        known: set[str] = set()
        count = None
        for token in sorted(tokens):
            count = count or await _counter(line, model, deadline)
            if count is None:
                return None
            if await count(token) == 1:
                known.add(token)
        return families.recognize(known)

    def completion(self, prompt: Prompt, facts: Facts) -> Call:
        """A completion request of the kind that `look` selected."""
        if facts.mode == "chat":
            call = chat(_question(prompt), facts.model, prompt.sampling, prompt.stop)
            body = call.body | ({"logprobs": True} if prompt.logprobs else {})
            return replace(call, body=body, chat=True, converses=False, prefix=prompt.prefix, language=prompt.path.rpartition(".")[2])
        body = {"model": facts.model, "max_tokens": prompt.stop.max_tokens, "stream": True, **_sampling(prompt.sampling)}
        if prompt.logprobs:
            body["logprobs"] = 1
        if facts.mode == "continued":
            words = (*continuation.ends(prompt.suffix), *(("\n",) if continuation.is_one_line(prompt.suffix) else ()))
            return Call(
                path="/v1/completions", body=body | {"prompt": continuation.render(prompt)} | ({"stop": list(words)} if words else {}), words=words
            )
        if facts.family is None:
            return Call(path="/v1/completions", body=body | {"prompt": prompt.prefix, "suffix": prompt.suffix})
        ends = families.ends(facts.family, prompt)
        body |= {"prompt": families.render(facts.family, prompt), "stop": list(ends[: families.MOST_STOPS])}
        return Call(path="/v1/completions", body=body, words=ends)

    def generation(self, instruction: Instruction, model: str) -> Call:
        """A chat request."""
        return chat(instruction.messages, model, instruction.sampling, instruction.stop, thinking=instruction.thinking)

    def read(self, message: dict[str, Any]) -> Piece:
        return read(message)

    async def models(self, line: Connection, deadline: Deadline) -> list[RemoteModel]:
        return await list_models(line, deadline)


def chat(messages: Sequence[Message], model: str, sampling: Sampling, stop: Stop, *, thinking: bool = False) -> Call:
    """A request to `/v1/chat/completions`."""
    body: dict[str, Any] = {
        "messages": [{"role": turn.role, "content": turn.content} for turn in messages],
        "max_tokens": stop.max_tokens,
        "stream": True,
        "chat_template_kwargs": {"enable_thinking": thinking, "thinking": thinking},  # for vLLM, SGLang and llama-server; others refuse or ignore it
    }
    if model:
        body["model"] = model
    return Call(path="/v1/chat/completions", body=body | _sampling(sampling), converses=True)


def read(message: dict[str, Any]) -> Piece:
    """One message of a stream of `/v1/completions` or `/v1/chat/completions`."""
    usage = message.get("usage") or {}
    evaluated, generated = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    choices = message.get("choices")
    if not choices:
        return Piece(evaluated=evaluated, generated=generated)
    choice = choices[0]
    said = choice.get("delta") or choice.get("message")
    text = said.get("content") if isinstance(said, dict) else choice.get("text")
    reasoning = said.get("reasoning_content") or said.get("reasoning") if isinstance(said, dict) else ""
    if isinstance(text, list):  # Mistral's newer models send text as a list of parts
        reasoning = _text_of([part.get("thinking") for part in text if isinstance(part, dict)])
        text = _text_of(text)
    return Piece(
        text=str(text or ""),
        reasoning=_text_of(reasoning),
        why=ended(choice.get("finish_reason")),
        evaluated=evaluated,
        generated=generated,
        logprob=logprob_of(choice.get("logprobs")),
    )


def logprob_of(said: Any) -> float | None:
    """The sum of a message's log-probabilities; None if it has none.

    Completions have a list of `token_logprobs`; chats, llama-server and Ollama have entries with `logprob`.
    """
    entries = (said.get("token_logprobs") or said.get("content")) if isinstance(said, dict) else said
    if not isinstance(entries, list) or not entries:
        return None
    total = 0.0
    for entry in entries:
        value = entry.get("logprob") if isinstance(entry, dict) else entry
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not LEAST_LOGPROB < value <= MOST_LOGPROB:  # not: true for NaN too
            return None
        total += min(0.0, value)
    return total


def _text_of(said: Any) -> str:
    """The text of a content field, which may be a list of parts."""
    if isinstance(said, list):
        return "".join(_text_of(part) for part in said)
    return str((said.get("text") or "") if isinstance(said, dict) else said or "")


def ended(reason: Any) -> Literal["", "end", "length"]:
    """The stop reason for a `finish_reason`; empty if generation continues. Several servers send an empty reason, or the word `null`, each time."""
    if not reason or str(reason).lower() in {"null", "none", "false"}:
        return ""
    return "length" if reason == "length" else "end"


async def list_models(line: Connection, deadline: Deadline) -> list[RemoteModel]:
    """The models that `/v1/models` lists."""

    def read_models(reply: Any) -> list[RemoteModel]:
        entries = reply["data"] if isinstance(reply, dict) else reply
        return [RemoteModel(name=clean(entry["id"])) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]

    return await line.json("GET", "/v1/models", deadline, read_models)


async def only_model(line: Connection, deadline: Deadline) -> str:
    """The model of a server that has only one. Raises ProviderRefused if the user has to choose."""
    names = [model.name for model in await list_models(line, deadline)]
    if len(names) == 1:
        return names[0]
    entry = line.name.partition(":")[2]
    some = f" It has: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}." if names else ""
    raise ProviderRefused(f"Which model {line.name} shall use is not set.", f"Set providers.remote.{entry}.model.{some}")


async def _counter(line: Connection, model: str, deadline: Deadline) -> Callable[[str], Awaitable[int]] | None:
    """A function that returns the number of tokens of a text; None if the server's tokenizer cannot be called."""
    shapes: tuple[tuple[str, Callable[[str], dict[str, Any]]], ...] = (
        ("/tokenize", lambda text: {"model": model, "prompt": text, "add_special_tokens": False}),
        ("/tokenize", lambda text: {"content": text, "add_special": False, "parse_special": True}),
        ("/extras/tokenize", lambda text: {"input": text}),
    )
    for path, body in shapes:
        try:
            # a beginning-of-text token that cannot be omitted is counted too
            extra = await line.json("POST", path, deadline, _number, body("a")) - 1
        except (ProviderRefused, ProviderUnavailable) as exc:
            if isinstance(exc, ProviderUnavailable) and deadline.left() <= 0:
                raise
            continue

        async def count(text: str, path: str = path, body: Callable[[str], dict[str, Any]] = body, extra: int = extra) -> int:
            return await line.json("POST", path, deadline, _number, body(text)) - extra

        return count
    return None


def _number(reply: Any) -> int:
    """The number of tokens in a tokenizer's reply. Raises TypeError or KeyError for an invalid reply."""
    tokens = reply["tokens"]
    if not isinstance(tokens, list):
        raise TypeError
    return len(tokens)


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """Only parameters that differ from the API's defaults: newer models refuse unsupported ones."""
    values: dict[str, Any] = {"temperature": sampling.temperature}
    if sampling.top_p < 1:
        values["top_p"] = sampling.top_p
    if sampling.seed:
        values["seed"] = sampling.seed
    return values


def _question(prompt: Prompt) -> tuple[Message, ...]:
    others = "".join(f"{piece.path}:\n{piece.text}\n\n" for piece in prompt.snippets)
    return (Message("system", FILL), Message("user", f"{others}{prompt.path}\n{prompt.prefix}{CURSOR}{prompt.suffix}"))
