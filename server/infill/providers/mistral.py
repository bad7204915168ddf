"""Mistral's API: Codestral fills in the middle at `/v1/fim/completions`. The rest is OpenAI's API, except for a few field names."""

from __future__ import annotations

from typing import Any

from infill.ask import Instruction, Prompt
from infill.providers import openai
from infill.providers.base import Limits
from infill.providers.dialect import Call, Facts, Piece, RemoteModel
from infill.providers.http import Connection, Deadline

FIM_MODEL = "codestral-latest"


class Mistral:
    """The API of Mistral."""

    default_url = "https://api.mistral.ai/v1"
    limits = Limits(prefix_tokens=2048, suffix_tokens=512, remote=True)

    async def model(self, line: Connection, deadline: Deadline) -> str:
        return line.endpoint.model or FIM_MODEL

    async def look(self, line: Connection, deadline: Deadline) -> Facts:
        """No request is needed: its API takes prefix and suffix."""
        return Facts(model=await self.model(line, deadline))

    def completion(self, prompt: Prompt, facts: Facts) -> Call:
        """Prefix and suffix unchanged: the API adds the special tokens, and special tokens in the text remain text."""
        body: dict[str, Any] = {
            "model": facts.model,
            "prompt": prompt.prefix,
            "suffix": prompt.suffix,
            "max_tokens": prompt.stop.max_tokens,
            "temperature": prompt.sampling.temperature,
            "top_p": prompt.sampling.top_p,
            "random_seed": prompt.sampling.seed,
            "stream": True,
        }
        if prompt.logprobs:
            body["logprobs"] = True  # answers may contain them; a server that refuses the parameter is no longer sent it
        return Call(path="/v1/fim/completions", body=body)

    def generation(self, instruction: Instruction, model: str) -> Call:
        call = openai.chat(instruction.messages, model or FIM_MODEL, instruction.sampling, instruction.stop)
        call.body.pop("chat_template_kwargs")
        if "seed" in call.body:
            call.body["random_seed"] = call.body.pop("seed")
        return call

    def read(self, message: dict[str, Any]) -> Piece:
        return openai.read(message)

    async def models(self, line: Connection, deadline: Deadline) -> list[RemoteModel]:
        return await openai.list_models(line, deadline)
