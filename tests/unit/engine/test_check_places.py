"""The places that calibrate a model: in its own languages, with an answer that is known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

import pytest

from infill.answers.languages import canonical
from infill.ask import Finish
from infill.engine import check_places
from infill.engine.protocol import Complete, Done, Text

if TYPE_CHECKING:
    from infill.engine.runtime import Runtime

SAMPLES = {"python", "javascript", "typescript", "typescriptreact", "go", "rust", "java", "kotlin", "c", "css", "lua", "php", "ruby"}


def languages_of(languages: tuple[str, ...], count: int = 60) -> list[str]:
    return [canonical(path) for path, _ in itertools.islice(check_places.mixed(languages), count)]


def test_there_are_samples_in_thirteen_languages_and_each_has_lines_to_complete() -> None:
    assert set(check_places.samples()) == SAMPLES
    for language in SAMPLES:
        for _, (prefix, rest, suffix) in itertools.islice(check_places.mixed((language,)), 20):
            assert prefix and rest.strip() and "\n" not in rest
            assert suffix.startswith("\n")


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        (("go",), ["go"]),
        (("go", "rust"), ["go", "rust"]),
        (("cobol", "go", "go"), ["go"]),
        (("python",), ["python"]),
        (("cobol",), list(check_places.samples())),
        ((), list(check_places.samples())),
    ],
)
def test_places_come_by_turns_from_the_languages_of_the_model(languages: tuple[str, ...], expected: list[str]) -> None:
    assert languages_of(languages) == list(itertools.islice(itertools.cycle(expected), 60))


def test_the_same_places_are_taken_each_time() -> None:
    assert list(itertools.islice(check_places.mixed(()), 40)) == list(itertools.islice(check_places.mixed(()), 40))


class Parrot:
    """A runtime that knows every second answer."""

    def __init__(self) -> None:
        self.asked: list[Complete] = []
        self.forgotten: list[str] = []
        places = itertools.islice(check_places.mixed(("rust", "java")), check_places.PLACES)
        self._known = {(prefix, suffix): rest for _, (prefix, rest, suffix) in places}

    def complete(self, asked: Complete) -> Iterator[Any]:
        self.asked.append(asked)
        text = self._known[asked.prefix, asked.suffix] if len(self.asked) % 2 else "no such line"
        yield Text(id=0, text=text, logprob=-0.5)
        yield Done(id=0, finishes=(Finish(logprob=-0.5),))

    def forget(self, slot: str) -> None:
        self.forgotten.append(slot)


def test_a_model_for_rust_and_java_is_asked_in_files_of_those_languages() -> None:
    parrot = Parrot()
    found = check_places.lines(cast("Runtime", parrot), ("rust", "java"), seconds=1e6)
    assert {PurePath(asked.path).suffix for asked in parrot.asked} == {".rs", ".java"}
    assert len(found) == len(parrot.forgotten) == check_places.PLACES
    assert [line.right for line in found] == [True, False] * (check_places.PLACES // 2)
