"""llama-server: `/infill` uses the model's own tokens and refuses models without fill-in-the-middle tokens, so that no family is needed."""

from __future__ import annotations

from typing import Any

import msgspec

from infill.ask import Instruction, Prompt
from infill.providers import openai
from infill.providers.base import Limits
from infill.providers.dialect import Call, Facts, Piece, RemoteModel
from infill.providers.http import Connection, Deadline


class LlamaCpp:
    """The API of llama-server."""

    default_url = "http://127.0.0.1:8012"
    limits = Limits(prefix_tokens=768, suffix_tokens=254, snippet_tokens=1024, remote=True)
    """Limits for its presets with batches of 1024 tokens: three quarters of a batch for the prefix, the rest for the suffix."""

    async def model(self, line: Connection, deadline: Deadline) -> str:
        """The configured model, or empty: only a server in router mode needs a name."""
        return line.endpoint.model

    async def look(self, line: Connection, deadline: Deadline) -> Facts:
        """No request is needed: the server refuses the first completion if its model cannot fill in the middle."""
        return Facts(model=line.endpoint.model)

    def completion(self, prompt: Prompt, facts: Facts) -> Call:
        """The same request as llama.vim's, but streamed and with real file names."""
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
            body["n_indent"] = stop.indent  # it counts characters, not columns: with tabs only the client side cuts
        if stop.ignore_end:
            body["ignore_eos"] = True
        if prompt.logprobs:
            body["n_probs"] = 1
        if facts.model:
            body["model"] = facts.model  # in router mode the server loads the model that a request names
        return Call(path="/infill", body=body)

    def generation(self, instruction: Instruction, model: str) -> Call:
        """A request to its OpenAI-compatible chat endpoint."""
        return openai.chat(instruction.messages, model, instruction.sampling, instruction.stop, thinking=instruction.thinking)

    def read(self, message: dict[str, Any]) -> Piece:
        """One message of a stream of `/infill` or chat."""
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
            # the last message repeats the log-probabilities of the whole answer
            logprob=None if done and not message.get("content") else openai.logprob_of(message.get("completion_probabilities")),
        )

    async def models(self, line: Connection, deadline: Deadline) -> list[RemoteModel]:
        """The loaded model; in router mode, all available models."""
        return await openai.list_models(line, deadline)
