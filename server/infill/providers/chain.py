"""The chain of providers: the first one in the user's order that can answer within the request's deadline. Itself a provider.

The next provider is tried if one is unavailable, refuses, is too slow or fails before its first line. A circuit breaker skips dead providers
at no cost. Each problem that the user should know about is reported once through `tell`. The report's notes list every provider that was tried.
No HTTP and no engine code: members are providers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import cast

import msgspec

from infill.ask import Delta, Event, Finish, Instruction, Prompt, Report, Stop
from infill.errors import EngineCrashed, InfillError, ModelError, ProviderError, ProviderRefused, ProviderUnavailable, UnknownModel
from infill.privacy.text import Cleaner
from infill.providers.attempt import closable
from infill.providers.base import Generator, Limits, Provider
from infill.providers.breaker import REFUSED_PAUSE
from infill.providers.race import Ask, Member, Race, Walk
from infill.providers.trouble import CannotFill, NotAsked, Throttled

Tell = Callable[[InfillError], None]


class Chain:
    """Several providers in order, as one provider."""

    def __init__(
        self, members: Sequence[Member], *, tell: Tell = lambda error: None, hedge_ms: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.members = tuple(members)
        self.name = self.members[0].name if self.members else "none"
        """The provider that answered last; before the first answer, the first in the order."""
        self._tell = tell
        self._told: set[tuple[str, str]] = set()
        self._hedge = hedge_ms / 1000
        self._clock = clock
        self._background: set[asyncio.Task[None]] = set()

    @property
    def limits(self) -> Limits:
        """The limits of the provider that would be used now."""
        chosen = next((member for member in self.members if not member.absence()), self.members[0] if self.members else None)
        return chosen.provider.limits if chosen else Limits()

    def find(self, name: str) -> Provider | None:
        """The provider with this name."""
        return next((member.provider for member in self.members if member.name == name), None)

    async def complete(self, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Fill in the middle with the first provider in order that can."""

        def ask(provider: Provider, left: float) -> AsyncIterator[Event]:
            return provider.complete(msgspec.structs.replace(prompt, stop=_within(prompt.stop, left)))

        self._wake(prompt)
        async with contextlib.aclosing(self._asked(ask, self._meant(prompt.model), Walk(self._clock, prompt.stop.deadline_ms))) as events:
            async for event in events:
                yield event

    async def generate(self, instruction: Instruction, model: str = "") -> AsyncGenerator[Event, None]:
        """Answer an instruction with the provider that `model` names (`kind:name/model`), else with the first one in order that can.

        A provider whose model does not follow instructions is used only if the others are unreachable or refuse, never because they are slow.
        """
        able = [member for member in self._meant(model) if hasattr(member.provider, "generate")]
        following = [member for member in able if _generator(member.provider).follows_instructions(model)]

        def ask(provider: Provider, left: float) -> AsyncIterator[Event]:
            asked = msgspec.structs.replace(instruction, stop=_within(instruction.stop, left))
            return _generator(provider).generate(asked, _model_for(provider.name, model))

        walk = Walk(self._clock, instruction.stop.deadline_ms, explicit=True)
        try:
            async with contextlib.aclosing(self._asked(ask, following or able, walk)) as events:
                async for event in events:
                    yield event
            return
        except ProviderError as exc:
            others = [member for member in able if member not in following]
            if not following or not others or walk.slow or getattr(exc, "slow", False):
                raise
            walk.troubles.append(exc)
        async with contextlib.aclosing(self._asked(ask, others, walk)) as events:
            async for event in events:
                yield event

    async def warm(self, prompt: Prompt) -> None:
        """Process the prompt ahead of time in local members only: prefetching must not send text to another machine."""
        for member in self.members:
            if not member.provider.limits.remote:
                await member.provider.warm(prompt)

    async def forget(self, slot: str) -> None:
        for member in self.members:
            await member.provider.forget(slot)

    async def aclose(self) -> None:
        for task in self._background:
            task.cancel()
        for member in self.members:
            with contextlib.suppress(InfillError, OSError):  # an error while one member closes must not keep the others open
                await member.provider.aclose()

    def _meant(self, model: str) -> Sequence[Member]:
        """The members that have this model; all of them if none is named. Raises UnknownModel if its provider is not in the order."""
        named = [one for one in self.members if model.startswith((f"{one.name}/", f"{one.name}:")) or model == one.name]
        if model and not named:
            raise UnknownModel(f"No provider in use has the model {model}.", "providers.order names those in use.")
        return named or self.members

    def _asked(self, ask: Ask, members: Sequence[Member], walk: Walk) -> AsyncGenerator[Event, None]:
        return self._alone(ask, members[0], walk) if len(members) == 1 else self._walk(ask, members, walk)

    async def _walk(self, ask: Ask, members: Sequence[Member], walk: Walk) -> AsyncGenerator[Event, None]:
        """Try the members until one has a line, yield its events, and stop the others."""

        def on_trouble(member: Member, trouble: InfillError, milliseconds: float) -> None:
            walk.notes.append(f"{member.name}: {trouble.message} ({milliseconds:.1f} ms)")
            walk.troubles.append(trouble)
            self._judge(member, trouble)

        race = Race(ask, members, walk, hedge=0 if walk.explicit else self._hedge, on_trouble=on_trouble, clock=self._clock)
        try:
            winner, attempt = await race.won()
            self._praise(winner)
            await race.stop(attempt)
            if len(members) > 1:
                walk.notes.append(f"{winner.name} had a line after {attempt.milliseconds:.1f} ms")
            async with contextlib.aclosing(self._passed_on(winner, attempt.events(), walk)) as events:
                async for event in events:
                    yield event
        finally:
            await race.stop(None)

    async def _alone(self, ask: Ask, member: Member, walk: Walk) -> AsyncGenerator[Event, None]:
        """A chain with one member: nothing is held back, because no fallback exists."""
        if not member.breaker.allows(explicit=walk.explicit):
            raise ProviderUnavailable(f"{member.name} is {member.absence()}")
        member.breaker.begin()
        spoke = False
        try:
            async with contextlib.aclosing(self._passed_on(member, ask(member.provider, walk.left()), walk)) as events:
                async for event in events:
                    spoke = spoke or self._praise(member)
                    yield event
        except InfillError as exc:
            self._judge(member, exc)
            raise
        finally:
            if not spoke:
                member.breaker.abandoned()

    async def _passed_on(self, member: Member, answer: AsyncIterator[Event], walk: Walk) -> AsyncGenerator[Event, None]:
        """The cleaned answer. An error after the first text ends the answer; the text so far is kept."""
        cleaners: dict[int, Cleaner] = {}
        finished: set[int] = set()
        try:
            async with contextlib.aclosing(closable(answer)) as events:
                async for event in events:
                    self.name = member.name
                    if isinstance(event, Finish):
                        finished.add(event.candidate)
                    for passed in _cleaned(event, cleaners, walk):
                        yield passed
        except InfillError as exc:
            open_ones = cleaners.keys() - finished
            if not open_ones:
                raise
            self._judge(member, exc)
            for candidate in open_ones:
                yield Finish(candidate, why="stopped")
            notes = (*walk.notes, f"{member.name} broke off: {exc.message}")
            yield Report(provider=member.name, model="", notes=notes, interrupted=exc.message)

    def _judge(self, member: Member, trouble: InfillError) -> None:
        """Update the circuit breaker after an error, and report the error to the user once."""
        remote = member.provider.limits.remote
        if isinstance(trouble, Throttled):
            member.breaker.leave_alone(trouble.retry_after, trouble.message)
        elif isinstance(trouble, ProviderRefused) and remote and not isinstance(trouble, CannotFill):
            member.breaker.leave_alone(REFUSED_PAUSE, trouble.message)
        elif isinstance(trouble, ProviderUnavailable) and remote and not isinstance(trouble, NotAsked):
            member.breaker.failure(trouble.message)
        else:  # our own decision not to send, or the local provider, which limits its own restarts
            member.breaker.abandoned()
        key = (member.name, trouble.message)
        if isinstance(trouble, (ProviderRefused, ModelError, EngineCrashed)) and key not in self._told:
            self._told.add(key)
            self._tell(trouble)

    def _praise(self, member: Member) -> bool:
        """Record a success. If the problem returns, it is reported again."""
        member.breaker.success()
        if self._told:
            self._told = {key for key in self._told if key[0] != member.name}
        return True

    def _wake(self, prompt: Prompt) -> None:
        """Load a local model that is not ready, while another provider answers."""
        for member in self.members:
            limits = member.provider.limits
            if len(self.members) > 1 and not limits.ready and not limits.remote and not self._background:
                task = asyncio.ensure_future(self._warm_quietly(member.provider, prompt))
                self._background.add(task)
                task.add_done_callback(self._background.discard)

    async def _warm_quietly(self, provider: Provider, prompt: Prompt) -> None:
        with contextlib.suppress(InfillError):  # the same error is reported with the next request
            await provider.warm(prompt)


def _cleaned(event: Event, cleaners: dict[int, Cleaner], walk: Walk) -> list[Event]:
    """The event without control characters; a report also gets the list of tried providers."""
    if isinstance(event, Delta):
        text = cleaners.setdefault(event.candidate, Cleaner()).feed(event.text)
        return [Delta(text, event.candidate, event.logprob)] if text else []
    if isinstance(event, Finish):
        rest = cleaners[event.candidate].end() if event.candidate in cleaners else ""
        return [Delta(rest, event.candidate, event.logprob), event] if rest else [event]
    return [msgspec.structs.replace(event, notes=(*walk.notes, *event.notes)) if walk.notes else event]


def _within(stop: Stop, left: float) -> Stop:
    return msgspec.structs.replace(stop, deadline_ms=max(1, int(left * 1000)))


def _generator(provider: Provider) -> Generator:
    return cast("Generator", provider)


def _model_for(name: str, model: str) -> str:
    """The model name to pass to this provider: its own name for the model with this full id."""
    if name == "local":
        return model if model.startswith("local:") else ""
    return model[len(name) + 1 :] if model.startswith((f"{name}/", f"{name}:")) else ""
