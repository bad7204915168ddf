"""Unsupported request parameters: detected in error messages, then renamed or omitted. Pure; one object for each endpoint.

OpenAI's current models refuse `max_tokens` (they use `max_completion_tokens`) and any `temperature` except 1; others lack `seed` or `top_p`. Most
compatible servers support only `max_tokens` and silently ignore the newer name. So only OpenAI's own hosts are sent the newer name at first.
"""

from __future__ import annotations

import re
from typing import Any

OPTIONAL = (
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "min_p",
    "seed",
    "random_seed",
    "stop",
    "stream",
    "chat_template_kwargs",
    "think",
    "logprobs",
    "n_probs",
)
"""Parameters that can be omitted: limits and stop words are also enforced client-side."""
RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_NEWEST = re.compile(r"(?i)(^|\.)(api\.openai\.com|openai\.azure\.com)$")
CHAT = "/v1/chat/completions"


class Parameters:
    """The parameters that one endpoint has refused so far."""

    def __init__(self, host: str) -> None:
        self._refused: set[tuple[str, str]] = {(CHAT, "max_tokens"), (CHAT, "chat_template_kwargs")} if _NEWEST.search(host) else set()
        """Pairs of path and parameter name."""

    def adapted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body of a request without the parameters that this path refuses."""
        kept: dict[str, Any] = {}
        for name, value in body.items():
            if (path, name) not in self._refused:
                kept[name] = value
            elif name in RENAMED and (path, RENAMED[name]) not in self._refused:
                kept[RENAMED[name]] = value
        return kept

    def learn(self, path: str, sent: dict[str, Any], said: str) -> None:
        """Record an error message that refuses an optional parameter of the request."""
        named = [name for name in OPTIONAL if name in sent and re.search(rf"(?<![\w]){name}(?![\w])", said)]
        # the first name in the message is the cause: "'max_tokens' is not supported, use 'max_completion_tokens'"
        for name in sorted(named, key=said.find)[:1]:
            self._refused.add((path, name))
