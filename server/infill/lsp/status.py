"""`infill/status`: the server's state, sent whenever it changes, and the progress bar while a model is loading.

    off         disabled
    error       the user has to act (broken model, rejected key)
    warning     temporary (no engine, no network, too slow); ends by itself
    loading     a model is being loaded
    generating  a request is running
    ready       otherwise

Every busy state has a deadline, after which it ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from infill.completion.types import Outcome
from infill.engine.protocol import Changed
from infill.errors import InfillError, ProviderUnavailable
from infill.lsp.progress import Bar, Progress
from infill.privacy import network
from infill.settings import Settings

Kind = Literal["ready", "loading", "generating", "warning", "error", "off"]

BUSY_AFTER = 0.05
"""Seconds until a running request is shown, so that the status does not flicker at answers from the cache."""
GRACE = 5.0
"""Seconds after a request's deadline until it no longer counts as running."""
LOADING_SECONDS = 120.0
"""Longest time without a progress report while a model is loading."""
BAR_AFTER = 0.4
"""Seconds of loading before a progress bar opens."""
LATE = "no answer in time"
"""The completer's reason when the deadline has passed."""


class Line(msgspec.Struct, frozen=True):
    """The content of `infill/status`."""

    kind: Kind
    message: str
    provider: str
    model: str
    busy: bool
    offline: bool
    """Whether the network is disabled: see `privacy.offline`."""
    languages_off: tuple[str, ...] = msgspec.field(name="languagesOff")
    """Identifiers of the languages whose completions are disabled."""
    generates: str = ""
    """The model that generates code; empty: that of the first provider in `providers.order`."""


class Status:
    """Tracks the state, and sends it to the editor."""

    def __init__(self, send: Callable[[dict[str, Any]], None], progress: Progress) -> None:
        self._send = send
        self._progress = progress
        self._open = False
        self._enabled, self._offline = True, False
        self._languages_off: tuple[str, ...] = ()
        self._running = 0
        self._provider, self._model = "", ""
        self._generates = ""
        self._trouble: tuple[Kind, str] | None = None
        self._loading: Changed | None = None
        self._loading_timer: asyncio.TimerHandle | None = None
        self._bar_timer: asyncio.TimerHandle | None = None
        self._bar: Bar | None = None
        self._sent: Line | None = None

    @property
    def line(self) -> Line:
        kind, message = self._kind()
        busy = kind in {"loading", "generating"}
        return Line(kind, message, self._provider, self._model, busy, self._offline, self._languages_off, self._generates)

    def open(self) -> None:
        """Start sending: the editor is initialized. LSP allows no notification before that."""
        self._open = True
        self.publish()

    def publish(self) -> None:
        """Send the state if it has changed."""
        line = self.line
        if self._open and line != self._sent:
            self._sent = line
            self._send(msgspec.to_builtins(line))

    def configured(self, settings: Settings, *, provider: str, model: str, generates: str = "") -> None:
        """Set what is enabled, the provider and model for completions, and the model for code generation."""
        self._enabled, self._provider, self._model = settings.enabled, provider, model
        self._offline = network.is_offline(settings.privacy.offline)
        self._languages_off = tuple(sorted(name for name, on in settings.languages.items() if not on))
        self._generates = generates
        self.publish()

    def forgive(self) -> None:
        """Clear the last error, because settings or the model have changed."""
        self._trouble = None

    @contextlib.contextmanager
    def working(self, deadline_ms: float) -> Iterator[None]:
        """Count a request as running inside this context."""
        loop = asyncio.get_running_loop()
        state = {"counted": False}

        def count(by: int) -> None:
            if state["counted"] != (by > 0):
                state["counted"] = by > 0
                self._running += by
                self.publish()

        begun = loop.call_later(BUSY_AFTER, count, 1)
        overdue = loop.call_later(deadline_ms / 1000 + GRACE, count, -1)
        try:
            yield
        finally:
            begun.cancel()
            overdue.cancel()
            count(-1)

    def answered(self, outcome: Outcome) -> None:
        """Record an outcome: an answer clears the last error, a passed deadline is a warning."""
        if outcome.reason == LATE:
            self._trouble = ("warning", f"{outcome.model or outcome.provider} did not answer in time")
            self.publish()
        elif outcome.provider:
            self._provider, self._model = outcome.provider, outcome.model or self._model
            self._trouble = None
            self.publish()

    def failed(self, error: InfillError) -> None:
        self._trouble = ("warning" if isinstance(error, ProviderUnavailable) else "error", str(error))
        self.publish()

    def engine_changed(self, changed: Changed) -> None:
        """Handle a state change that the engine reported."""
        if changed.state == "loading":
            self._load(changed)
        else:
            self._loaded()
            if changed.state == "problem":
                self._trouble = ("error", changed.message)
            elif changed.state == "ready" and changed.model:
                self._trouble = None
        self.publish()

    def _kind(self) -> tuple[Kind, str]:
        if not self._enabled:
            return "off", "infill is switched off"
        if self._loading is not None:
            share = f" ({self._loading.progress:.0%})" if self._loading.progress else ""
            return "loading", f"Loading {self._loading.model or self._model}{share}"
        if self._trouble is not None:
            return self._trouble
        return ("generating", "Thinking") if self._running else ("ready", "Ready")

    def _load(self, changed: Changed) -> None:
        loop = asyncio.get_running_loop()
        if self._loading is None:
            self._bar_timer = loop.call_later(BAR_AFTER, self._open_bar)
        self._loading = changed
        if self._bar is not None:
            self._bar.report(changed.progress, changed.message)
        if self._loading_timer is not None:
            self._loading_timer.cancel()
        self._loading_timer = loop.call_later(LOADING_SECONDS, self._overdue)

    def _loaded(self) -> None:
        self._loading = None
        for timer in (self._loading_timer, self._bar_timer):
            if timer is not None:
                timer.cancel()
        if self._bar is not None:
            self._bar.end()
        self._loading_timer = self._bar_timer = self._bar = None

    def _open_bar(self) -> None:
        self._bar = self._progress.begin(f"infill: loading {self._loading.model or self._model}" if self._loading else "infill")

    def _overdue(self) -> None:
        self._loaded()
        self._trouble = ("warning", f"The model has been loading for {LOADING_SECONDS:.0f} seconds without a sign of life.")
        self.publish()
