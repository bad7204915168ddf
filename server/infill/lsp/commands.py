"""`workspace/executeCommand`: a table of verbs, each with the shape of its one argument. Others add theirs with `add`, not by being imported.

An unknown command, and arguments of the wrong shape, get a proper LSP error with a sentence. What a verb does is its owner's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from lsprotocol import types

from infill.errors import RequestError

Argument = TypeVar("Argument")


class Nothing(msgspec.Struct, frozen=True):
    """The argument of a command that takes none."""


class Verb(msgspec.Struct, frozen=True):
    """A command."""

    argument: Any
    """Type of its argument."""
    run: Callable[[Any], Awaitable[Any]]


class Commands:
    """The table."""

    def __init__(self) -> None:
        self._verbs: dict[str, Verb] = {}

    @property
    def names(self) -> list[str]:
        return sorted(self._verbs)

    def add(self, name: str, argument: type[Argument], run: Callable[[Argument], Awaitable[Any]]) -> None:
        """Offer a command. Must be called before the editor connects, which is told all names at once."""
        self._verbs[name] = Verb(argument, run)

    async def on_execute(self, params: types.ExecuteCommandParams) -> Any:
        verb = self._verbs.get(params.command)
        if verb is None:
            raise RequestError(f"There is no command {params.command[:100]!r}.", f"There are {', '.join(self.names)}.")
        result = await verb.run(_argument(params.command, verb.argument, params.arguments or []))
        return msgspec.to_builtins(result, builtin_types=(bytes,))


def _argument(command: str, kind: Any, arguments: Sequence[Any]) -> Any:
    if len(arguments) > 1:
        raise RequestError(f"{command} takes at most one argument, not {len(arguments)}.")
    given = arguments[0] if arguments and arguments[0] is not None else {}
    try:
        return converted(given, kind)
    except ValueError as exc:
        raise RequestError(f"{command}: {exc}.", "docs/develop/protocol.md names each command's argument.") from exc


def converted(given: Any, kind: Any) -> Any:
    """What the editor sent, as `kind`. Raises ValueError for what is no such thing, and for text that is not valid Unicode."""
    try:
        msgspec.json.encode(given)  # half a character, as JSON can hold, would raise wherever it is written or sent on
        return msgspec.convert(given, kind)
    except UnicodeEncodeError as exc:
        raise ValueError("its text is not valid Unicode") from exc
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc
