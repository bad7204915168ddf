"""The engine's messages: documented as they are, and the same on both sides of the wire."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import msgspec
import pytest

from infill.engine import protocol

MESSAGES = [*typing.get_args(protocol.FromClient), *typing.get_args(protocol.FromEngine)]
DOCUMENT = Path(__file__).parents[3] / "docs" / "develop" / "protocol.md"
ROW = re.compile(r"^\| `(\w+)` \| (`.*?) \|", re.MULTILINE)


def documented(heading: str) -> dict[str, list[str]]:
    section = DOCUMENT.read_text("utf-8").partition(f"### {heading}\n")[2].partition("\n### ")[0]
    return {name: re.findall(r"`(\w+)`", fields) for name, fields in ROW.findall(section)}


def defined(union: object) -> dict[str, list[str]]:
    return {message.__struct_config__.tag: list(message.__struct_fields__) for message in typing.get_args(union)}


def test_the_document_names_every_message_and_field_of_the_client():
    assert documented("From the client") == defined(protocol.FromClient)


def test_the_document_names_every_message_and_field_of_the_engine():
    assert documented("From the engine") == defined(protocol.FromEngine)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_a_message_arrives_as_it_was_sent(message):
    values = {str: "text ü", int: 3, float: 0.5, bool: True}
    hints = typing.get_type_hints(message)
    sent = message(**{name: values[hints[name]] for name in message.__struct_fields__ if hints[name] in values} | required(message))
    union = protocol.FromClient if message in typing.get_args(protocol.FromClient) else protocol.FromEngine
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=union) == sent


def required(message: type) -> dict[str, object]:
    """Values of required fields that are no plain ones."""
    made: dict[str, object] = {"messages": (), "pieces": (), "options": {}, "state": "ready"}
    return {name: value for name, value in made.items() if name in message.__struct_fields__}
