"""Pieces of other files: which ones, in what order, and that they stand still while somebody types."""

from __future__ import annotations

from conftest_completion import at

from infill.completion.context import Context, choose, stable_surroundings
from infill.completion.types import Neighbour

HERE = "class Invoice:\n    def total(self):\n        return self.price * self.count\n" * 20
HELPFUL = Neighbour("price.py", "def price_of(invoice):\n    return invoice.total() * invoice.count\nclass Invoice:\n    price = 0\n", 1.0)
USELESS = Neighbour("zoo.py", "def elephant():\n    return trunk\n\ndef giraffe():\n    return neck\n", 0.0)


def test_shared_names_decide() -> None:
    chosen = choose(HERE, (USELESS, HELPFUL, Neighbour("moon.py", "def crater(depth):\n    return depth\n", 0.5)), 150)
    assert [snippet.path for snippet in chosen] == ["price.py"]


def test_the_most_helpful_file_stands_nearest_to_the_cursor() -> None:
    other = Neighbour("count.py", "def count(invoice):\n    return invoice.count\n", 0.5)
    assert [snippet.path for snippet in choose(HERE, (HELPFUL, other), 1000)] == ["count.py", "price.py"]


def test_what_stands_here_anyway_is_not_repeated() -> None:
    assert choose(HERE, (Neighbour("copy.py", HERE[:500], 9.0),), 1000) == ()


def test_the_choice_stands_still_while_a_line_is_typed() -> None:
    context, chosen = Context(), set()
    for typed in ("", "s", "self", "self.elephant", "self.elephant()\n    giraffe = 1"):
        chosen.add(context.gather(at(f"{HERE}{typed}█\n", neighbours=(HELPFUL, USELESS)), 200))
    assert len(chosen) == 1


def test_surroundings_are_whole_blocks_above_the_cursor_s() -> None:
    lines = [f"line {number}\n" for number in range(100)]
    assert stable_surroundings("".join(lines[:70]) + "half") == "".join(lines[:64])
    assert stable_surroundings("".join(lines[:95]) + "half") == "".join(lines[:64])
    assert stable_surroundings("".join(lines[:96])) == "".join(lines[:96])
    assert stable_surroundings("".join(lines[:20])) == ""


def test_nothing_is_chosen_without_room_or_without_files() -> None:
    context = Context()
    assert context.gather(at("x█", neighbours=(HELPFUL,)), 0) == ()
    assert context.gather(at("x█"), 1000) == ()
