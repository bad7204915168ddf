"""llama-server: `/infill` tokenizes with the model's own vocabulary and refuses models without fill-in-the-middle tokens, so no family is needed."""

from __future__ import annotations

from typing import Any

import msgspec

from infill.ask import Instruction, Prompt
from infill.providers import openai
from infill.providers.base import Limits
from infill.providers.dialect import Call, Facts, Piece, RemoteModel
from infill.providers.http import Connection, Deadline


class LlamaCpp:
    """Speaks llama-server's own API."""

    default_url = "http://127.0.0.1:8012"
    limits = Limits(prefix_tokens=768, suffix_tokens=254, snippet_tokens=1024, remote=True)
    """What its presets (batches of 1024) take: three quarters of a batch for the prefix, the rest for the suffix."""

    async def model(self, line: Connection, deadline: Deadline) -> str:
        """It serves one; only its router needs a name."""
        return line.endpoint.model

    async def look(self, line: Connection, deadline: Deadline) -> Facts:
        """The server knows all that is needed; whether its model can do it, it says with the first request."""
        return Facts(model=line.endpoint.model)

    def completion(self, prompt: Prompt, facts: Facts) -> Call:
        """As llama.vim asks, with real file names and streamed."""
        sampling, stop = prompt.sampling, prompt.stop
        body: dict[str, Any] = {
            "input_prefix": prompt.prefix,
            "input_suffix": prompt.suffix,
            "input_extra": [{"filename": piece.path, "text": piece.text} for piece in prompt.snippets],
            "prompt": "",
            "n_predict": stop.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "seed": sampling.seed,
            "cache_prompt": True,
            "stream": True,
            "t_max_predict_ms": stop.deadline_ms,
        }
        if stop.indent and "\t" not in prompt.prefix[prompt.prefix.rfind("\n") + 1 :]:
            body["n_indent"] = stop.indent  # it counts characters, we count columns: with tabs only our own side cuts
        if stop.ignore_end:
            body["ignore_eos"] = True
        if prompt.logprobs:
            body["n_probs"] = 1
        if facts.model:
            body["model"] = facts.model  # its router loads the model that a request names
        return Call(path="/infill", body=body)

    def generation(self, instruction: Instruction, model: str) -> Call:
        """Its chat is OpenAI's."""
        return openai.chat(instruction.messages, model, instruction.sampling, instruction.stop, thinking=instruction.thinking)

    def read(self, message: dict[str, Any]) -> Piece:
        """One message of `/infill`, or of the chat."""
        timings = message.get("timings") or {}
        evaluated, predicted = int(timings.get("prompt_n") or 0), int(timings.get("predicted_n") or 0)
        if "choices" in message:
            piece = openai.read(message)
            return msgspec.structs.replace(piece, evaluated=piece.evaluated or evaluated, generated=piece.generated or predicted)
        done = bool(message.get("stop"))
        return Piece(
            text=str(message.get("content") or ""),
            why="" if not done else "length" if message.get("stop_type") == "limit" else "end",
            evaluated=evaluated,
            kept=int(message.get("tokens_cached") or 0) if done else 0,
            generated=(predicted or int(message.get("tokens_predicted") or 0)) if done else 0,
            # the last message repeats those of the whole answer
            logprob=None if done and not message.get("content") else openai.logprob_of(message.get("completion_probabilities")),
        )

    async def models(self, line: Connection, deadline: Deadline) -> list[RemoteModel]:
        """The one it serves; with a router, all that it can load."""
        return await openai.list_models(line, deadline)
