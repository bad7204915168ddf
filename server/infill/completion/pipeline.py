"""From a cursor to a suggestion: the complete request flow. No I/O and no LSP; `scheduler.py` owns tasks, the provider owns the model."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

from infill.ask import Report, Timings
from infill.completion import postprocess, prompt, trigger
from infill.completion.answer import Answer
from infill.completion.cache import Cache, Hit, follows
from infill.completion.context import Context
from infill.completion.debounce import Rhythm, wait_ms
from infill.completion.filter import held_back
from infill.completion.place import CLOSERS, OPENERS, QUOTES, place_of
from infill.completion.provenance import provenance_of
from infill.completion.scheduler import Scheduler, Sleep
from infill.completion.trace import Trace, why_dropped, why_nothing
from infill.completion.types import CompletionRequest, Outcome, Source, Suggestion
from infill.errors import InfillError
from infill.providers.base import Provider
from infill.settings import Settings

WARM_AFTER_S = 0.15
"""Length of a pause in typing after which the document's prompt is evaluated in advance (warm-up)."""
DEADLINE_GRACE_S = 0.5
"""A provider ends its answers at the deadline. One that does not is abandoned after this additional time."""
PATIENCE = 0.85
"""Share of `latency.target` after which the finished words of an unfinished line are shown, late enough that a pause in typing is over."""
LATENCIES = 15
"""Number of answers whose median time to the first line sets the debounce, if the provider reports no typical latency."""


class Completer:
    """Answers the completion requests of any number of documents."""

    def __init__(self, provider: Provider, settings: Settings, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._provider = provider
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._cache = Cache()
        self._context = Context()
        self._scheduler = Scheduler(sleep)
        self._rhythm = Rhythm()
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._who: tuple[str, str] | None = None
        """The provider and the model of the last answer, from its report."""
        self._chosen = ""
        self._last = Trace()
        self.on_report: Callable[[Report], None] = lambda report: None
        """Called with each answer's report when the answer ends, possibly long after its first line was shown."""

    # ---- request flow

    async def complete(self, request: CompletionRequest) -> Outcome:
        """Answer one request. Raises ProviderError or ModelError; superseded and late requests are outcomes."""
        trace = self._last = Trace(request=request, asked=self._clock())
        if reason := trigger.refuses(request, self._settings):
            trace.refused = reason
            self._scheduler.overtake(request.uri)
            return self._end(trace, Outcome(reason=reason))
        question = _with_selected(request)
        hit = self._find(question)
        if hit and hit.answer.ready(hit.typed):
            trace.source = _origin(hit)
            self._scheduler.overtake(request.uri, _key(question))
            self._scheduler.use(request.uri, hit.answer)
        else:
            try:
                hit = await self._scheduler.turn(request.uri, _key(question), lambda: self._ask(question, trace))
            except asyncio.CancelledError:
                self._end(trace, Outcome(reason="cancelled"))
                raise
            except InfillError as exc:
                self._end(trace, Outcome(reason=exc.message.rstrip(".")))
                raise
            if trace.source == "none":  # an equal request was running and has its own trace
                trace.source = "running"
        if hit is None:
            return self._end(trace, Outcome(reason="superseded"))
        return self._end(trace, self._offer(request, question, hit, trace))

    async def _ask(self, question: CompletionRequest, trace: Trace) -> Hit | None:
        """Wait for the end of a burst of keys, then for an answer that agrees: a running one, or a new one."""
        trace.waited_ms = wait = self._wait(question)
        while True:
            hit = self._find(question)
            if hit is None and wait:
                self._warm(question, 0)
                await self._sleep(wait / 1000)
                wait = 0
                continue
            trace.source = _origin(hit) if hit else "model"
            hit = hit or Hit(self._begin(question, trace), "")
            self._scheduler.use(question.uri, hit.answer)
            with self._scheduler.reminded(self._patience(trace), hit.answer.hurry):
                await _shown_or_wrong(hit)
            if hit.answer.error:
                raise hit.answer.error
            if hit.answer.agrees(hit.typed) and (not hit.typed or hit.answer.rest(hit.typed)):
                return hit
            if hit.answer.stopped:
                return None

    def _begin(
        self, question: CompletionRequest, trace: Trace | None, parent: Answer | None = None, before: CompletionRequest | None = None
    ) -> Answer:
        """Send the request to the provider.

        With `parent`, it is a prefetch: the request after the answer `parent` to the request `before` has been accepted.
        """
        limits = self._provider.limits
        snippets = self._context.gather(before or question, prompt.snippet_budget(limits))
        asked = prompt.build(question, limits, self._settings, snippets=snippets, priority="background" if parent else None, before=before)
        answer = Answer(
            place_of(question),
            provenance_of(question, prompt.sent(question, limits, before), snippets),
            source="prefetch" if parent else "model",
            asked=asked.candidates,
            by_key=not question.automatic,
            whole=not question.automatic,
            chosen=self._chosen,
        )
        self._cache.store(answer)
        if trace:
            trace.prompt, trace.begun = asked, self._clock()
        deadline = self._settings.completion.deadline_ms / 1000 + DEADLINE_GRACE_S
        stream = self._provider.complete(asked)
        self._scheduler.read(question.uri, answer, stream, deadline=deadline, ended=self._ended, parent=parent)
        return answer

    def _offer(self, request: CompletionRequest, question: CompletionRequest, hit: Hit, trace: Trace) -> Outcome:
        """What remains of the answer, fitted to the cursor; empty rather than wrong."""
        trace.answer = hit.answer
        suggestions, reason = self._suggestions(question, hit, trace)
        if trace.source == "model":
            self._latencies.append((self._clock() - trace.begun) * 1000)
        if suggestions:
            self._draft_ahead(question, hit, suggestions[0])
        if request.selected:
            suggestions = tuple(msgspec.structs.replace(one, text=request.selected + one.text) for one in suggestions)
        report = hit.answer.report
        timings = report.timings if report and trace.source != "cache" else Timings()
        return Outcome(
            suggestions=suggestions,
            reason="" if suggestions else reason,
            held_back=trace.held_back and not suggestions,
            source=trace.source if suggestions else "none",
            provider=report.provider if report else self._provider.name,
            model=report.model if report else hit.answer.chosen or (self._who[1] if self._who else ""),
            timings=msgspec.structs.replace(timings, total_ms=(self._clock() - trace.asked) * 1000, waited_ms=timings.waited_ms + trace.waited_ms),
            notes=(*trace.notes, *(report.notes if report else ())),
        )

    def _suggestions(self, question: CompletionRequest, hit: Hit, trace: Trace) -> tuple[tuple[Suggestion, ...], str]:
        wanted = 1 if question.automatic else self._settings.completion.candidates
        place = place_of(question)
        found: dict[str, Suggestion] = {}
        reason = why_nothing(hit.answer)
        for candidate in hit.answer.rest(hit.typed):
            shown = postprocess.at_cursor(candidate.text, place)
            offered = msgspec.structs.replace(candidate, text=shown.text, replaces=shown.replaces)
            doubt = held_back(offered, self._settings.completion.eagerness) if shown.text and question.automatic else ""
            trace.steps += shown.steps
            trace.judged(candidate.probability, doubt)
            if shown.text and not doubt and len(found) < wanted:
                found.setdefault(shown.text, offered)
            else:
                reason = doubt or why_dropped(shown.steps) or reason
        return tuple(found.values()), reason

    # ---- events

    def changed(self, request: CompletionRequest, typed: bool) -> None:
        """The document was opened or changed, and the cursor is at the end of the edit. Stops answers that disagree; warms up after a pause."""
        if typed:
            self._rhythm.key(self._clock())
        self._cache.changed(request.uri)
        cursors = [request, *_within_pair(request)]
        self._scheduler.keep(request.uri, lambda answer: any(follows(answer, cursor) for cursor in cursors))
        if not self._scheduler.busy(request.uri):
            self._scheduler.overtake(request.uri)  # a request still in its debounce would be for a text that no longer exists
            self._warm(request, WARM_AFTER_S if typed else 0)

    def moved(self, request: CompletionRequest) -> None:
        """The cursor moved without an edit. Stops answers for other lines unless a caller waits for them; warms up after a pause."""
        if self._scheduler.waited_for(request.uri):
            return
        above = place_of(request).above
        self._scheduler.keep(request.uri, lambda answer: answer.place.above == above or follows(answer, request))
        if not self._scheduler.busy(request.uri):
            self._warm(request, WARM_AFTER_S)

    def closed(self, uri: str) -> None:
        """The document was closed. Its tasks end; its answers stay in the cache because it may be opened again."""
        self._scheduler.close(uri)
        self._context.forget(uri)
        provider = self._provider
        self._scheduler.background(lambda: provider.forget(uri))

    def accepted(self, uri: str, text: str) -> None:
        """The user accepted a suggestion or its beginning."""
        self._last.accepted += len(text)

    def explain(self) -> dict[str, object]:
        """How the last request was handled."""
        return self._last.explain(
            {
                "rhythmMs": round(self._rhythm.interval_ms()),
                "latencyMs": round(self._latency()),
                "cachedAnswers": len(self._cache),
            }
        )

    async def aclose(self) -> None:
        """End all running requests. The provider is not closed; its creator does that."""
        await self._scheduler.aclose()

    @property
    def settings(self) -> Settings:
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        if any(getattr(settings, section) != getattr(before, section) for section in ("completion", "engine", "models", "providers")):
            self.forget_answers()
        if not settings.enabled:
            self._scheduler.close_all()

    @property
    def provider(self) -> Provider:
        return self._provider

    @provider.setter
    def provider(self, provider: Provider) -> None:
        if provider is not self._provider:
            self._provider = provider
            self._latencies.clear()
            self.forget_answers()

    @property
    def model(self) -> str:
        """The chosen model. After a change, answers of another model are no longer shown; those that are being generated run to their end."""
        return self._chosen

    @model.setter
    def model(self, model: str) -> None:
        if model != self._chosen:
            self._chosen, self._who = model, None
            self._cache.clear()

    def forget_answers(self) -> None:
        """Drop all cached and running answers, because the provider changes."""
        self._scheduler.close_all()
        self._cache.clear()

    # ---- details

    def _find(self, question: CompletionRequest) -> Hit | None:
        """A cached answer. A request by key accepts only an answer that is growing for exactly the same request."""
        if question.automatic:
            return self._cache.find(question)
        return self._cache.find(question, lambda hit: hit.answer.by_key and not hit.typed and not hit.answer.complete)

    def _wait(self, question: CompletionRequest) -> float:
        if not question.automatic:
            return 0.0
        if (fixed := self._settings.completion.debounce_ms) is not None:
            return float(fixed)
        return wait_ms(
            interval=self._rhythm.interval_ms(),
            latency=self._latency(),
            target=self._settings.latency.target,
            remote=self._provider.limits.remote,
            since_key=self._rhythm.since_key_ms(self._clock()),
        )

    def _patience(self, trace: Trace) -> float:
        """Seconds to wait for a whole line. Remote servers send text in fast pieces once it starts, so there the wait is the whole deadline."""
        if self._provider.limits.remote:
            return self._settings.completion.deadline_ms / 1000
        return max(0.0, self._settings.latency.target * PATIENCE / 1000 - (self._clock() - trace.asked))

    def _latency(self) -> float:
        return self._provider.limits.typical_ms or (statistics.median(self._latencies) if self._latencies else 0.0)

    def _warm(self, request: CompletionRequest, pause: float) -> None:
        limits = self._provider.limits
        if limits.remote or request.disabled or not (self._settings.enabled and self._settings.engine.warm):
            return
        if not self._settings.languages.get(request.language, True):
            return
        provider, settings = self._provider, self._settings

        async def work() -> None:
            snippets = self._context.gather(request, prompt.snippet_budget(limits))
            await provider.warm(prompt.build(request, limits, settings, snippets=snippets, priority="background"))

        self._scheduler.warm(request.uri, pause, work)

    def _draft_ahead(self, question: CompletionRequest, hit: Hit, shown: Suggestion) -> None:
        """Request in advance what follows the suggestion, at the lowest priority and after the answer is complete."""
        if not self._settings.engine.prefetch or self._provider.limits.remote:
            return
        after = msgspec.structs.replace(question, automatic=True)

        def begin() -> None:
            whole = self._suggestions(after, hit, Trace())[0] or (shown,)
            then = msgspec.structs.replace(after, prefix=after.prefix + whole[0].text, suffix=after.suffix[whole[0].replaces :])
            if not trigger.refuses(then, self._settings) and self._cache.find(then) is None:
                self._begin(then, None, parent=hit.answer, before=after)

        # during a burst of keys it would be stopped at once, and a stop takes the model the time of one token
        self._scheduler.after(question.uri, hit.answer, self._rhythm.over_ms() / 1000, begin)

    def _ended(self, answer: Answer) -> None:
        """An answer is complete: drop it if it is of no use, and drop all others if another model has begun to answer."""
        if answer.report:
            self.on_report(answer.report)
        if answer.chosen != self._chosen:
            return
        self._cache.ended(answer)
        if answer.report and (who := (answer.report.provider, answer.report.model)) != self._who:
            if self._who:
                self._cache.clear()
                self._cache.store(answer)
            self._who = who

    def _end(self, trace: Trace, outcome: Outcome) -> Outcome:
        trace.outcome = outcome
        return outcome


async def _shown_or_wrong(hit: Hit) -> None:
    """Wait until the answer can be shown or disagrees with the typed text."""
    while not hit.answer.ready(hit.typed) and hit.answer.agrees(hit.typed):
        await hit.answer.grown()


def _with_selected(request: CompletionRequest) -> CompletionRequest:
    """The request as if the selected popup item were already inserted."""
    if not request.selected:
        return request
    return msgspec.structs.replace(request, prefix=request.prefix + request.selected, selected="")


def _key(question: CompletionRequest) -> object:
    return question.prefix, question.suffix, question.automatic, question.language, question.neighbours


def _origin(hit: Hit) -> Source:
    kind: Literal["prefetch", "cache", "running"] = "cache" if hit.answer.complete else "running"
    return "prefetch" if hit.answer.source == "prefetch" and not hit.typed else kind


def _within_pair(request: CompletionRequest) -> list[CompletionRequest]:
    """An edit that ends with `()`: the user typed `(`, the editor added `)`, and the cursor is between them."""
    pair = request.prefix[-2:]
    if len(pair) == 2 and ((pair[1] in CLOSERS and OPENERS.get(pair[0]) == pair[1]) or (pair[0] == pair[1] and pair[0] in QUOTES)):
        return [msgspec.structs.replace(request, prefix=request.prefix[:-1], suffix=pair[1] + request.suffix)]
    return []
