"""A conversation in the forms that chat templates take, with reasoning off unless it is wanted."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest

from infill.engine.conversation import Refused, opened, written

SYSTEM, USER = "\ue0000\ue001", "\ue0001\ue001"
MESSAGES: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER}]
TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}
{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}
{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""
DROPS_SYSTEM = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% endif %}{% endfor %}"
PARTS = "{% for m in messages %}{{ m.role }}: {% for part in m.content if part.type == 'text' %}{{ part.text }}{% endfor %}\n{% endfor %}"
PARTS_WITHOUT_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + PARTS
QWEN3 = TURNS + "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
DEEPSEEK = TURNS + "{% if not thinking is defined %}{% set thinking = true %}{% endif %}{{ '<think>' if thinking else '</think>' }}"
ALWAYS = TURNS + "{{ '<think>\n' }}"
MAGISTRAL = TURNS + "[THINK]"
SILENT = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}<assistant>"
EFFORT = "Reasoning: {{ reasoning_effort | default('medium') }}\n" + TURNS
CHECKED = "{% if reasoning_effort not in ['none', 'high'] %}{{ raise_exception('unknown effort') }}{% endif %}" + EFFORT
SEED = "{% if thinking_budget is defined and thinking_budget == 0 %}no thoughts {% endif %}" + TURNS
LIST_OF_TOOLS = "{% for tool in tools %}{{ tool }}{% endfor %}" + TURNS


def write(template: str, *, thinking: bool = False) -> str:
    return written(template, MESSAGES, {"bos_token": "<bos>", "eos_token": "<eos>"}, thinking=thinking)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param(TURNS, f"<system>{SYSTEM}</><user>{USER}</><assistant>", id="a template with a system role"),
        pytest.param(GEMMA, f"<bos><start_of_turn>user\n{SYSTEM}\n\n{USER}<end_of_turn>\n<start_of_turn>model\n", id="one that refuses it"),
        pytest.param(DROPS_SYSTEM, f"[INST] {SYSTEM}\n\n{USER} [/INST]", id="one that leaves it out silently"),
        pytest.param(PARTS, f"system: {SYSTEM}user: {USER}", id="one that wants parts"),
        pytest.param(PARTS_WITHOUT_SYSTEM, f"user: {SYSTEM}\n\n{USER}", id="one that wants parts and refuses a system role"),
        pytest.param(LIST_OF_TOOLS, f"<system>{SYSTEM}</><user>{USER}</><assistant>", id="one that goes over the tools without a look"),
    ],
)
def test_every_message_comes_back_in_the_form_that_the_template_takes(template: str, text: str) -> None:
    assert write(template) == text


@pytest.mark.parametrize(
    ("template", "error", "says"),
    [
        pytest.param("Hello!", Refused, "leaves out the instruction", id="it ignores the messages"),
        pytest.param("{{ raise_exception('only tools') }}", Refused, "only tools", id="it always raises"),
        pytest.param("{{ messages[1].content }}{{ messages[0].content }}", Refused, "leaves out", id="it turns the order around"),
        pytest.param("{{ nothing.at.all }}", jinja2.UndefinedError, "undefined", id="it reads what is not there"),
        pytest.param("{% for %}", jinja2.TemplateSyntaxError, "xpected", id="it is no template"),
    ],
)
def test_a_template_without_use_is_refused(template: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        write(template)


@pytest.mark.parametrize(
    ("template", "off", "on"),
    [
        pytest.param(QWEN3, "<think>\n\n</think>\n\n", "<assistant>", id="enable_thinking"),
        pytest.param(DEEPSEEK, "</think>", "<think>", id="thinking"),
        pytest.param(ALWAYS, "<think>\n\n</think>\n\n", "<think>\n", id="no switch, and the block is opened"),
        pytest.param(MAGISTRAL, "[THINK]\n\n[/THINK]\n\n", "[THINK]", id="no switch, another mark"),
        pytest.param(SILENT, "<assistant><think>\n\n</think>\n\n", "<assistant>", id="no switch, and reasoning is cut from earlier answers"),
        pytest.param(TURNS, "<assistant>", "<assistant>", id="a model that does not reason"),
    ],
)
def test_reasoning_is_off_unless_it_is_wanted(template: str, off: str, on: str) -> None:
    assert write(template).endswith(off)
    assert write(template, thinking=True).endswith(on)
    assert not opened(write(template))


def test_an_effort_is_as_low_as_the_template_knows() -> None:
    assert write(EFFORT).startswith("Reasoning: low")
    assert write(CHECKED).startswith("Reasoning: none")
    assert write(EFFORT, thinking=True).startswith("Reasoning: medium")
    assert write(SEED).startswith("no thoughts")
    assert not write(SEED, thinking=True).startswith("no thoughts")


@pytest.mark.parametrize(("text", "mark"), [("a<think>\n", "<think>"), ("a[THINK]", "[THINK]"), ("a<think>\n</think>", ""), ("", "")])
def test_it_is_known_that_an_answer_begins_inside_of_a_reasoning_block(text: str, mark: str) -> None:
    assert opened(text) == mark
