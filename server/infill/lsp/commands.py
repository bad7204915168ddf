"""`workspace/executeCommand`: a table of commands, each with the type of its one argument. Other modules register theirs with `add`.

An unknown command or an argument of the wrong type is answered with an LSP error that states the cause.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from lsprotocol import types

from infill.errors import RequestError

Argument = TypeVar("Argument")


class Nothing(msgspec.Struct, frozen=True):
    """The argument type of a command without an argument."""


class Verb(msgspec.Struct, frozen=True):
    """A command."""

    argument: Any
    """Type of the argument."""
    run: Callable[[Any], Awaitable[Any]]


class Commands:
    """The table of commands."""

    def __init__(self) -> None:
        self._verbs: dict[str, Verb] = {}

    @property
    def names(self) -> list[str]:
        return sorted(self._verbs)

    def add(self, name: str, argument: type[Argument], run: Callable[[Argument], Awaitable[Any]]) -> None:
        """Add a command. Call before the editor connects: all names are sent once, at `initialize`."""
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
    """`given` converted to `kind`. Raises ValueError if it does not match, or has text that is not valid Unicode."""
    try:
        msgspec.json.encode(given)  # JSON can contain lone surrogates, which raise wherever the text is encoded later
        return msgspec.convert(given, kind)
    except UnicodeEncodeError as exc:
        raise ValueError("its text is not valid Unicode") from exc
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc
