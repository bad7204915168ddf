"""Servers with the APIs of llama-server, Ollama, Mistral and OpenAI, as far as infill speaks them, from their documentation."""

from __future__ import annotations

from typing import Any

from http_peer import Answer, Request

PIECES = ("a", " +", " b")
"""What every one of them answers."""
QWEN_TOKENS = [
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<|object_ref_start|>",
    "<|endoftext|>",
    "the",
    "def",
]


class LlamaServer:
    """llama-server: /infill, /v1/chat/completions, /v1/models."""

    def __init__(self, *, fim: bool = True) -> None:
        self.fim = fim

    async def __call__(self, request: Request, answer: Answer) -> None:
        if request.path == "/v1/models":
            await answer.whole({"object": "list", "data": [{"id": "qwen2.5-coder", "object": "model"}], "models": []})
        elif request.path == "/infill" and not self.fim:
            message = "Infill is not supported by this model: prefix token is missing. suffix token is missing. middle token is missing. "
            await answer.whole({"error": {"code": 501, "message": message, "type": "not_supported_error"}}, 501)
        elif request.path == "/infill":
            assert isinstance(request.json["input_prefix"], str)
            assert isinstance(request.json["input_suffix"], str)
            last = {"index": 0, "content": "", "stop": True, "stop_type": "eos", "tokens_cached": 40, "tokens_evaluated": 44, "tokens_predicted": 3,
                    "timings": {"prompt_n": 4, "prompt_ms": 9.0, "predicted_n": 3, "predicted_ms": 5.0}}  # fmt: skip
            await answer.events(*({"index": 0, "content": piece, "tokens": [1], "stop": False} for piece in PIECES), last, done=False)
        elif request.path == "/v1/chat/completions":
            await answer.events(*_chat(PIECES))
        else:
            await answer.whole({"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}, 404)


class Ollama:
    """Ollama: /api/generate, /api/chat, /api/tags, /api/show."""

    def __init__(self, *, insert: bool = True, tokens: list[str] | None = None) -> None:
        self.insert = insert
        self.tokens = tokens or []

    async def __call__(self, request: Request, answer: Answer) -> None:
        stamp = "2026-11-20T10:00:00.000000Z"
        stats = {"done": True, "done_reason": "stop", "total_duration": 1, "load_duration": 1, "prompt_eval_count": 26, "eval_count": 3}
        if request.path == "/api/tags":
            details = {"format": "gguf", "family": "qwen2", "families": ["qwen2"], "parameter_size": "1.5B", "quantization_level": "Q8_0"}
            model = {"name": "qwen2.5-coder:1.5b-base", "model": "qwen2.5-coder:1.5b-base", "size": 1646573056, "digest": "d7", "details": details}
            await answer.whole({"models": [model]})
        elif request.path == "/api/show":
            await answer.whole(self._shown(request.json))
        elif request.path == "/api/generate" and "suffix" in request.json and not self.insert:
            await answer.whole({"error": f'"{request.json["model"]}" does not support insert'}, 400)
        elif request.path == "/api/generate":
            told = ({"model": "m", "created_at": stamp, "response": piece, "done": False} for piece in PIECES)
            await answer.lines(*told, {"model": "m", "created_at": stamp, "response": "", **stats})
        elif request.path == "/api/chat":
            told = ({"model": "m", "created_at": stamp, "message": {"role": "assistant", "content": piece}, "done": False} for piece in PIECES)
            await answer.lines(*told, {"model": "m", "created_at": stamp, "message": {"role": "assistant", "content": ""}, **stats})
        else:
            await answer.whole(b"404 page not found", 404, "text/plain")

    def _shown(self, asked: dict[str, Any]) -> dict[str, Any]:
        info: dict[str, Any] = {"general.architecture": "qwen2", "tokenizer.ggml.tokens": self.tokens if asked.get("verbose") else None}
        capabilities = ["completion", *(["insert"] if self.insert else [])]
        return {"template": "{{ .Prompt }}", "details": {"family": "qwen2"}, "model_info": info, "capabilities": capabilities}


class Mistral:
    """Mistral: /v1/fim/completions, /v1/chat/completions, /v1/models; it wants a key."""

    key = "mistral-key-0123456789"

    def __init__(self, *, logprobs: tuple[float, ...] = ()) -> None:
        """`logprobs`: of its pieces, where they are asked for; empty: the parameter is refused."""
        self.logprobs = logprobs

    async def __call__(self, request: Request, answer: Answer) -> None:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            await answer.whole({"message": "Unauthorized", "request_id": "r"}, 401)
        elif request.path == "/v1/models":
            await answer.whole({"object": "list", "data": [{"id": "codestral-latest"}, {"id": "mistral-large-latest"}]})
        elif request.path in {"/v1/fim/completions", "/v1/chat/completions"}:
            if unknown := set(request.json) - {
                "model",
                "prompt",
                "suffix",
                "messages",
                "max_tokens",
                "temperature",
                "top_p",
                "random_seed",
                "stream",
                "stop",
                *(["logprobs"] if self.logprobs else []),
            }:
                detail = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"} for name in sorted(unknown)]
                await answer.whole({"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"}, 422)
            else:
                await answer.events(*_chat(PIECES, self.logprobs if request.json.get("logprobs") else ()))
        else:
            await answer.whole({"message": "no Route matched with those values"}, 404)


class OpenAi:
    """An OpenAI-compatible server; `tokens` are those that its tokenizer knows as one (None: it has no /tokenize)."""

    def __init__(self, *, key: str = "", tokens: list[str] | None = None, pieces: tuple[str, ...] = PIECES, logprobs: tuple[float, ...] = ()) -> None:
        """`logprobs`: of the pieces of a chat, where they are asked for."""
        self.logprobs = logprobs
        self.key = key
        self.tokens = tokens
        self.pieces = pieces

    async def __call__(self, request: Request, answer: Answer) -> None:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            given = request.headers.get("authorization", "")
            await answer.whole({"error": {"message": f"Incorrect API key provided: {given[7:]}.", "code": "invalid_api_key"}}, 401)
        elif request.path == "/v1/models":
            await answer.whole({"object": "list", "data": [{"id": "coder", "object": "model"}]})
        elif request.path == "/tokenize" and self.tokens is not None:
            count = 1 if request.json["prompt"] in {*self.tokens, "a"} else 5
            await answer.whole({"count": count, "max_model_len": 4096, "tokens": list(range(count))})
        elif request.path == "/v1/completions":
            assert len(request.json.get("stop", ())) <= 4, "OpenAI takes four stop words"
            said = [
                {"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": piece, "finish_reason": None}]} for piece in self.pieces
            ]
            await answer.events(
                *said, {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
            )
        elif request.path == "/v1/chat/completions":
            await answer.events(*_chat(self.pieces, self.logprobs if request.json.get("logprobs") is True else ()))
        else:
            await answer.whole({"detail": "Not Found"}, 404)


def _chat(pieces: tuple[str, ...], logprobs: tuple[float, ...] = ()) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}]
    certain = [{"logprobs": {"content": [{"token": piece, "logprob": one}]}} for piece, one in zip(pieces, logprobs, strict=False)]
    told = certain or [{} for _ in pieces]
    said += [
        {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None, **more}]} for piece, more in zip(pieces, told, strict=True)
    ]
    last = {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 11, "completion_tokens": 3}}
    return [*said, last]
