"""Renders a model file's chat template in a child process: `python -m infill.engine.chat_template`, one request on stdin.

A template is a program written by the model's author. Jinja's sandbox denies access to files and attributes, but does not limit time, memory or
output. This module limits all three. The caller is never blocked: `Templates.render` is a generator that yields while the child runs.
Requests do not contain the texts of messages: `prompt_tokens.chat` replaces them by placeholders. So most results come from the cache.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Generator
from typing import Any

import msgspec
import psutil

from infill.engine import conversation
from infill.errors import BadChatTemplate
from infill.models import child
from infill.models.child import Child

SECONDS = 10.0
"""Wall time of one rendering, with process start. A real template takes milliseconds."""
CPU_SECONDS = 3
MEMORY = 512 * 1024 * 1024
"""Bytes of address space, or of resident memory on systems without such a limit."""
CHARACTERS = 4_000_000
"""Longest result."""
STEP = 0.005
"""Seconds of a step: the longest delay for another request."""
REMEMBERED = 32
"""Cached results per model."""
EXCERPT = 200
"""Characters shown of a template's own error message."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A template and its variables."""

    template: str
    messages: list[dict[str, Any]]
    variables: dict[str, Any] = {}
    thinking: bool = False
    """Whether the model should reason before it answers."""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rendered text, or the error."""

    text: str = ""
    error: str = ""


class Unusable(Exception):
    """A template cannot be used; the argument is the reason."""


class Templates:
    """Renders templates and caches the last results."""

    def __init__(self, name: str) -> None:
        self._name = name
        """The model file's name, for error messages."""
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def render(self, request: Request) -> Generator[None, None, str]:
        """The rendered text; yields until it is complete. Raises BadChatTemplate if the template fails or exceeds a limit."""
        line = msgspec.json.encode(request)
        key = line + time.strftime("%Y-%m-%d").encode()  # templates may contain the date
        if key not in self._known:
            try:
                self._known[key] = yield from _in_child(line)
            except Unusable as exc:
                message = f"The chat template of {self._name} cannot be used: {exc}."
                raise BadChatTemplate(message, "Choose another instruct model, or a newer file of this one.") from exc
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def _in_child(line: bytes) -> Generator[None, None, str]:
    until = time.monotonic() + SECONDS
    with child.running(child.python("-m", "infill.engine.chat_template")) as process:
        process.say(line)
        while (answer := process.line(STEP)) is None:
            if time.monotonic() > until:
                raise Unusable(f"rendering it took longer than {SECONDS:.0f} s")
            if _resident(process) > MEMORY:
                raise Unusable(f"rendering it took more than {MEMORY >> 20} MB of memory")
            yield
    if not answer:
        raise Unusable("rendering it exceeded a limit of time or memory")
    result = msgspec.json.decode(answer, type=Result)
    if result.error:
        raise Unusable(result.error)
    return result.text


def _resident(process: Child) -> int:
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(process.pid).memory_info().rss)
    return 0


# ---- in the child process


def render(request: Request) -> str:
    """The rendered text. Raises any exception that the template raises."""
    return conversation.written(request.template, request.messages, request.variables, thinking=request.thinking)


def _limit() -> None:
    """Set the limits of this process. Windows has none of them and macOS has no memory limit: there the parent checks."""
    if sys.platform != "win32":
        import resource

        for kind, most in ((resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(kind, (most, most))


def _answer(request: Request) -> Result:
    try:
        text = render(request)
    except MemoryError:
        return Result(error=f"rendering it took more than {MEMORY >> 20} MB of memory")
    except Exception as exc:
        words = " ".join("".join(letter if letter.isprintable() else " " for letter in str(exc)[:EXCERPT]).split()).removesuffix(".")
        return Result(error=words if isinstance(exc, conversation.Refused) else f"{_kind(exc)}: {words}")
    if len(text) > CHARACTERS:
        return Result(error=f"its result is longer than {CHARACTERS:,} characters")
    return Result(text=text)


def _kind(exc: Exception) -> str:
    line = getattr(exc, "lineno", None)
    return f"syntax error in line {line}" if line and type(exc).__name__ == "TemplateSyntaxError" else type(exc).__name__


def main() -> int:
    """Read one request, write one result."""
    out = os.dup(1)
    os.dup2(2, 1)
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    _limit()
    os.write(out, msgspec.json.encode(_answer(request)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
