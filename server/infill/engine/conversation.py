"""Writes a conversation in a model's chat template. Reasoning is off unless requested, and the form is one that the template accepts.

The texts of messages are placeholders (`prompt_tokens.chat` inserts the real ones), and the result must contain all of them. If a template omits
a message, or raises for its role, other forms of the same conversation are rendered. Runs in the child process of `chat_template`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from infill.answers import reasoning

OFF: Mapping[str, Any] = {
    "enable_thinking": False,
    "thinking": False,
    "enable_reasoning": False,
    "reasoning": False,
    "think": False,
    "thinking_budget": 0,
}
"""Variables that switch reasoning off: Qwen 3 and 3.5, SmolLM3, GLM, Gemma 4 | DeepSeek V3.1, Granite | others | Seed-OSS."""
EFFORT = "reasoning_effort"
LEAST_EFFORTS = ("none", "no_think", "minimal", "low")
"""Values of EFFORT; the first one in the template is used. Mistral, Hunyuan, others, gpt-oss (which always reasons)."""
NO_TOOLS: tuple[Mapping[str, Any], ...] = (
    {"tools": None, "documents": None, "functions": None, "function_call": None, "tool_choice": None},
    {"tools": [], "documents": [], "functions": []},
)
"""Variables for "no tools": as in Transformers, then a form for templates that iterate over the list without a check."""
_OPENED = re.compile(rf"(?P<mark>{'|'.join(re.escape(opening) for opening, _ in reasoning.PAIRS)})\s*\Z")

Turn = dict[str, Any]


class Refused(Exception):
    """The template raised an exception, or omits a message."""


def written(template: str, messages: list[Turn], variables: Mapping[str, Any], *, thinking: bool) -> str:
    """The rendered conversation, ready for the answer. Raises Refused, jinja2.TemplateSyntaxError, or another exception of compiling a template."""
    environment = _environment()
    switches = _switches(environment, template)
    compiled = environment.from_string(template)
    wishes = {name: True for name, off in switches.items() if off is False} if thinking else switches
    contents = [turn["content"] for turn in messages]
    refusals: list[Exception] = []
    for turns, no_tools in itertools.product(_forms(messages), NO_TOOLS):
        text = _rendered(compiled, {"messages": turns, "add_generation_prompt": True, **no_tools, **wishes, **variables}, contents)
        if isinstance(text, str):
            return text if thinking else _without_reasoning(text, reasons="</think>" in template and not switches)
        refusals.append(text)
    raise refusals[0]


def _rendered(compiled: Any, variables: Mapping[str, Any], contents: list[str]) -> str | Exception:
    """The text, or the reason why this form of the conversation cannot be used."""
    try:
        text: str = compiled.render(**variables)
    except MemoryError:
        raise
    except Exception as exc:  # templates can raise any exception; another form is tried then
        return exc
    return text if _all_in_order(contents, text) else Refused("it leaves out the instruction")


def opened(text: str) -> str:
    """The opening tag of a reasoning block at the end of a rendered conversation; empty if there is none. The answer then begins inside the block."""
    found = _OPENED.search(text)
    return found["mark"] if found else ""


def _all_in_order(contents: list[str], text: str) -> bool:
    at = 0
    for content in contents:
        at = text.find(content, at)
        if at < 0:
            return False
    return True


def _without_reasoning(text: str, *, reasons: bool) -> str:
    """Add an empty reasoning block if no variable of the template switches reasoning off."""
    if mark := opened(text):
        return f"{text.rstrip()}\n\n{dict(reasoning.PAIRS)[mark]}\n\n"
    return f"{text}<think>\n\n</think>\n\n" if reasons else text


def _forms(plain: list[Turn]) -> Iterator[list[Turn]]:
    """The conversation in the forms that templates accept: unchanged, then with the system message merged into the user's.

    Each form is tried with texts, then with lists of parts.
    """
    merged = _merged(plain)
    forms = [plain, merged] if merged is not plain else [plain]
    yield from (*forms, *map(_in_parts, forms))


def _merged(turns: list[Turn]) -> list[Turn]:
    """For templates without a system role (Gemma, older Mistral)."""
    if len(turns) > 1 and turns[0]["role"] == "system":
        return [{**turns[1], "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}, *turns[2:]]
    return turns


def _in_parts(turns: list[Turn]) -> list[Turn]:
    return [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]


def _switches(environment: Any, source: str) -> dict[str, Any]:
    """The template's variables that switch reasoning off, with their values."""
    from jinja2 import meta, nodes

    tree = environment.parse(source)
    words = [constant.value for constant in tree.find_all(nodes.Const)]
    names = meta.find_undeclared_variables(tree)  # folds constants in the tree
    found = {name: value for name, value in OFF.items() if name in names}
    if EFFORT in names:
        found[EFFORT] = next((word for word in LEAST_EFFORTS if word in words), "low")
    return found


def _environment() -> Any:
    """A sandboxed Jinja environment, configured as in Transformers (transformers/utils/chat_template_utils.py)."""
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        """`{% generation %}` marks the assistant's text for training; ignored."""

        tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

        def parse(self, parser: Any) -> Any:
            parser.stream.skip(1)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _raise, "strftime_now": _now}
    return environment


def _to_json(value: Any, *, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise Refused(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the user's date
