"""A model file's chat template is untrusted code: it is rendered in a child process with limits, while other requests are answered."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator

import pytest
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from infill.engine import chat_template
from infill.engine.chat_template import Request, Templates
from infill.errors import BadChatTemplate

CHATML = """{%- for message in messages %}{% generation %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' }}{% endgeneration %}
{%- if loop.index > 9 %}{% break %}{% endif %}{%- endfor %}
{%- if tools is not none %}{{ tools | tojson }}{% endif %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
DOUBLED = "{% set ns = namespace(a='x' * 1000) %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a | length }}"
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def request(template: str) -> Request:
    return Request(template=template, messages=MESSAGES, variables={"bos_token": "<s>", "eos_token": ""})


def text_of(rendering: Generator[None, None, str]) -> str:
    while True:
        try:
            next(rendering)
        except StopIteration as end:
            return end.value


def test_a_template_is_rendered_as_llama_cpp_python_renders_it() -> None:
    theirs = Jinja2ChatFormatter(template=CHATML, eos_token="", bos_token="<s>")(messages=MESSAGES).prompt  # type: ignore[arg-type]
    assert text_of(Templates("model.gguf").render(request(CHATML))) == theirs


def test_the_same_conversation_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = Templates("model.gguf")
    first = text_of(templates.render(request(CHATML)))
    monkeypatch.setattr(chat_template, "_in_child", lambda line: pytest.fail("rendered again"))
    assert text_of(templates.render(request(CHATML))) == first


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ raise_exception('only user and assistant') }}", "only user and assistant"),
        ("\n{% if %}", "syntax error in line 2"),
        ("{{ messages[1].content }}{{ messages | length }}", "leaves out the instruction"),
        ("{{ messages[0].__class__.__mro__ }}", "SecurityError"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "SecurityError"),
        ("{{ missing.name }}", "UndefinedError"),
        ("{{ messages[0].content ~ messages[1].content ~ 'x' * 5000000 }}", "longer than"),
        ("{{ " + "(" * 20_000, "model.gguf"),
    ],
)
def test_a_template_that_fails_is_a_sentence(template: str, says: str) -> None:
    with pytest.raises(BadChatTemplate, match=r"The chat template of model\.gguf cannot be used") as refused:
        text_of(Templates("model.gguf").render(request(template)))
    assert says in refused.value.message


def test_a_template_that_takes_all_memory_ends_at_its_limit() -> None:
    with pytest.raises(BadChatTemplate, match="memory"):
        text_of(Templates("model.gguf").render(request(DOUBLED)))


def test_a_template_without_end_is_stopped_and_nothing_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "SECONDS", 0.5)
    began, rendering = time.monotonic(), Templates("model.gguf").render(request(ENDLESS))
    for _ in range(5):
        next(rendering)  # between these steps the engine answers other requests
    with pytest.raises(BadChatTemplate, match="longer than"):
        text_of(rendering)
    assert time.monotonic() - began < 30


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_child_ends_itself_when_the_processor_time_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second limit, set by the operating system, also works when the engine is too busy to check the first."""
    monkeypatch.setattr(chat_template, "SECONDS", 120.0)
    with pytest.raises(BadChatTemplate, match="exceeded a limit"):
        text_of(Templates("model.gguf").render(request(ENDLESS)))


def test_closing_a_rendering_ends_its_process() -> None:
    from infill.models import child

    started = []
    real = child.Child.say

    def say(self: child.Child, line: bytes) -> None:
        started.append(self)
        real(self, line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child.Child, "say", say)
        rendering = Templates("model.gguf").render(request(ENDLESS))
        next(rendering)
        rendering.close()
    assert started[0].code() != 0
