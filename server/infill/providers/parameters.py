"""Parameters that a server does not take: found in its own words, renamed or left out from then on. Pure; one object for each endpoint.

OpenAI's present models refuse `max_tokens` (they want `max_completion_tokens`) and any `temperature` but 1; others know no `seed` or `top_p`. Most
compatible servers know `max_tokens` only, and ignore the newer name in silence: it is used first for OpenAI's own hosts alone.
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
"""What an answer can do without: ours is cut on this side too."""
RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_NEWEST = re.compile(r"(?i)(^|\.)(api\.openai\.com|openai\.azure\.com)$")
CHAT = "/v1/chat/completions"


class Parameters:
    """What one endpoint takes, as far as it has said."""

    def __init__(self, host: str) -> None:
        self._refused: set[tuple[str, str]] = {(CHAT, "max_tokens"), (CHAT, "chat_template_kwargs")} if _NEWEST.search(host) else set()
        """Paths and names."""

    def adapted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body of a request without what this path refuses."""
        kept: dict[str, Any] = {}
        for name, value in body.items():
            if (path, name) not in self._refused:
                kept[name] = value
            elif name in RENAMED and (path, RENAMED[name]) not in self._refused:
                kept[RENAMED[name]] = value
        return kept

    def learn(self, path: str, sent: dict[str, Any], said: str) -> None:
        """Take note of a refusal that names an optional parameter of what was sent."""
        named = [name for name in OPTIONAL if name in sent and re.search(rf"(?<![\w]){name}(?![\w])", said)]
        # the first one that is named is the culprit: "'max_tokens' is not supported, use 'max_completion_tokens'"
        for name in sorted(named, key=said.find)[:1]:
            self._refused.add((path, name))
