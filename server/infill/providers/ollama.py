"""Ollama: `/api/generate` with a suffix if the model's template supports one, else a raw prompt with the special tokens of its vocabulary."""

from __future__ import annotations

from typing import Any

from infill.ask import Instruction, Prompt, Sampling, Stop
from infill.errors import ProviderRefused
from infill.privacy.text import clean
from infill.providers import families, openai
from infill.providers.base import Limits
from infill.providers.dialect import Call, Facts, Piece, RemoteModel
from infill.providers.http import Connection, Deadline
from infill.providers.trouble import CannotFill

PROMPT_TOKENS = 3072
"""Prompt tokens in the requested context window. Ollama's default was 2048 for a long time, and it truncates silently."""


class Ollama:
    """The API of Ollama."""

    default_url = "http://127.0.0.1:11434"
    limits = Limits(prefix_tokens=1536, suffix_tokens=512, snippet_tokens=512, remote=True)

    def __init__(self, longest: int = 1024, keep_alive: str = "") -> None:
        """`longest`: tokens of the longest answer that will be requested, for completions and generations."""
        # one size for all requests: Ollama reloads the model whenever num_ctx changes
        self._context = _context(longest)
        self._keep_alive = keep_alive

    async def model(self, line: Connection, deadline: Deadline) -> str:
        return line.endpoint.model or await self._only_model(line, deadline)

    async def look(self, line: Connection, deadline: Deadline) -> Facts:
        """The facts from `/api/show`: capabilities first, then the template, then the vocabulary."""
        model, wanted = await self.model(line, deadline), line.endpoint.family
        if wanted == "suffix":
            return Facts(model=model, mode="suffix")
        if wanted:
            return Facts(model=model, family=families.named(wanted, line.name), mode="raw")
        if await line.json("POST", "/api/show", deadline, _inserts, {"model": model}):
            return Facts(model=model, mode="suffix")
        family = await line.json("POST", "/api/show", deadline, _family, {"model": model, "verbose": True})
        if family is None:
            entry = line.name.partition(":")[2]
            raise CannotFill(
                f"{line.name}: {model} has no fill-in-the-middle tokens.",
                f"Choose a model that has (`qwen2.5-coder:1.5b-base`), or set providers.remote.{entry}.family: {', '.join(families.table())}.",
            )
        return Facts(model=model, family=family, mode="raw")

    def completion(self, prompt: Prompt, facts: Facts) -> Call:
        body = self._body(facts.model, prompt.sampling, prompt.stop) | ({"logprobs": True} if prompt.logprobs else {})
        if facts.family is None:
            return Call(path="/api/generate", body=body | {"prompt": prompt.prefix, "suffix": prompt.suffix})
        ends = families.ends(facts.family, prompt)
        body["options"]["stop"] = list(ends)
        return Call(path="/api/generate", body=body | {"prompt": families.render(facts.family, prompt), "raw": True}, words=ends)

    def generation(self, instruction: Instruction, model: str) -> Call:
        messages = [{"role": turn.role, "content": turn.content} for turn in instruction.messages]
        # models without reasoning accept `think: false` and refuse `true`
        body = self._body(model, instruction.sampling, instruction.stop) | {"messages": messages, "think": instruction.thinking}
        return Call(path="/api/chat", body=body, converses=True)

    def _body(self, model: str, sampling: Sampling, stop: Stop) -> dict[str, Any]:
        options = {
            "num_predict": stop.max_tokens,
            "num_ctx": max(self._context, _context(stop.max_tokens)),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "seed": sampling.seed,
        }
        return {"model": model, "stream": True, "options": options, **({"keep_alive": self._keep_alive} if self._keep_alive else {})}

    def read(self, message: dict[str, Any]) -> Piece:
        said = message.get("message")
        text = said.get("content") if isinstance(said, dict) else message.get("response")
        done = bool(message.get("done"))
        return Piece(
            text=str(text or ""),
            reasoning=str((said.get("thinking") if isinstance(said, dict) else "") or ""),
            why="" if not done else "length" if message.get("done_reason") == "length" else "end",
            evaluated=int(message.get("prompt_eval_count") or 0),
            generated=int(message.get("eval_count") or 0),
            logprob=openai.logprob_of(message.get("logprobs")),
        )

    async def models(self, line: Connection, deadline: Deadline) -> list[RemoteModel]:
        return await line.json("GET", "/api/tags", deadline, lambda reply: [_model(entry) for entry in reply["models"] if isinstance(entry, dict)])

    async def _only_model(self, line: Connection, deadline: Deadline) -> str:
        names = [model.name for model in await self.models(line, deadline)]
        if len(names) == 1:
            return names[0]
        some = f" It has: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}." if names else " `ollama pull qwen2.5-coder:1.5b-base` gets one."
        raise ProviderRefused(f"Which model {line.name} shall use is not set.", f"Set providers.remote.{line.name.partition(':')[2]}.model.{some}")


def _context(longest: int) -> int:
    """The context size for a prompt and an answer in tokens, a multiple of 1024."""
    return -(-(PROMPT_TOKENS + longest) // 1024) * 1024


def _inserts(shown: Any) -> bool:
    """Whether the model's template in the `/api/show` reply supports a suffix."""
    return "insert" in (shown.get("capabilities") or ()) or ".Suffix" in str(shown.get("template", ""))


def _family(shown: Any) -> families.Family | None:
    """The family whose tokens the vocabulary contains."""
    vocabulary = (shown.get("model_info") or {}).get("tokenizer.ggml.tokens")
    return families.recognize(frozenset(vocabulary)) if isinstance(vocabulary, list) else None


def _model(entry: dict[str, Any]) -> RemoteModel:
    details = entry.get("details") or {}
    return RemoteModel(
        name=clean(str(entry.get("name") or entry.get("model") or "")),
        size=int(entry.get("size") or 0),
        family=str(details.get("family") or ""),
        parameters=str(details.get("parameter_size") or ""),
        quantization=str(details.get("quantization_level") or ""),
    )
