"""What an instruct model is told."""

from __future__ import annotations

from infill.ask import Message
from infill.generation.prompt import Refinement, refined

ASKED = (Message("system", "Write code."), Message("user", "Add two numbers."))


def test_a_follow_up_shows_the_model_its_earlier_code_and_then_what_to_change() -> None:
    told = refined(ASKED, Refinement("return a + b", "Use floats."), "python")
    assert told[:2] == ASKED
    assert [message.role for message in told[2:]] == ["assistant", "user"]
    assert told[2].content == "```python\nreturn a + b\n```"
    assert told[3].content.startswith("Use floats.")


def test_without_a_follow_up_the_conversation_stays_as_it_is() -> None:
    assert refined(ASKED, None, "python") == ASKED
