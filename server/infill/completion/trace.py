"""Why there was a suggestion or none: the data of `infill.explain` for the last request. Pure; keeps one request."""

from __future__ import annotations

from infill.ask import Prompt
from infill.completion.answer import Answer
from infill.completion.types import CompletionRequest, Outcome, Source

_DROPPED = {
    "suffix_not_repeated": "the suggestion stands right of the cursor already",
    "tail_trimmed": "the suggestion stands right of the cursor already",
    "fitted": "the suggestion would leave a bracket open",
    "line_not_repeated": "the suggestion would repeat the line",
    "line_above_not_repeated": "the suggestion would repeat the line above",
    "repeated_lines_cut": "the suggestion ran in circles",
    "not_doubled": "the model would go on in another block",
    "kept": "the model would go on in another block",
    "too_short_dropped": "the suggestion was too short to be of use",
    "foreign_text_cut": "the model wrote no code",
    "notice_cut": "the model wrote the licence notice of another project",
}


_CACHE: dict[Source, str] = {
    "cache": "hit",
    "prefetch": "drafted ahead",
    "running": "joined a running answer",
    "model": "miss",
    "none": "not looked at",
}


class Trace:
    """What happened to one request."""

    def __init__(self, request: CompletionRequest | None = None, asked: float = 0.0) -> None:
        self.request = request
        self.asked = asked
        self.begun = asked
        self.waited_ms = 0.0
        self.refused = ""
        """Why no request was sent."""
        self.source: Source = "none"
        self.prompt: Prompt | None = None
        self.answer: Answer | None = None
        self.steps: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self.outcome: Outcome | None = None
        self.accepted = 0
        self.probability: float | None = None
        self.held_back = False

    def judged(self, probability: float | None, doubt: str) -> None:
        """Record a candidate's probability and why it is hidden; the first candidate's probability is kept."""
        self.probability = probability if self.probability is None else self.probability
        self.held_back = self.held_back or bool(doubt)

    def explain(self, more: dict[str, object]) -> dict[str, object]:
        """All data as JSON, without the document's text."""
        if self.request is None:
            return {"request": None, "reason": "nothing was asked yet", **more}
        outcome = self.outcome or Outcome(reason="not answered yet")
        return {
            "request": _request(self.request),
            "trigger": self.refused or ("automatic" if self.request.automatic else "asked for by key"),
            "reason": outcome.reason,
            "suggestions": len(outcome.suggestions),
            "probability": None if self.probability is None else round(self.probability, 4),
            "heldBack": outcome.held_back,
            "source": outcome.source,
            "cache": _CACHE[self.source],
            "provider": outcome.provider,
            "model": outcome.model,
            "timings": {"totalMs": round(outcome.timings.total_ms, 2), "waitedMs": round(self.waited_ms, 1)},
            "prompt": _prompt(self.prompt),
            "answer": _answer(self.answer),
            "filter": list(dict.fromkeys((self.answer.steps if self.answer else ()) + self.steps)),
            "notes": list(outcome.notes),
            "acceptedCharacters": self.accepted,
            **more,
        }


def why_nothing(answer: Answer) -> str:
    """Why an answer has no text to show."""
    if answer.stopped:
        return answer.stopped
    if answer.ended_by() == "deadline":
        return "no answer in time"
    return why_dropped(answer.steps) or "the model had nothing to add"


def why_dropped(steps: tuple[str, ...]) -> str:
    """The message for the last step that removed text."""
    return next((_DROPPED[step] for step in reversed(steps) if step in _DROPPED), "")


def _request(request: CompletionRequest) -> dict[str, object]:
    return {
        "uri": request.uri,
        "version": request.version,
        "language": request.language,
        "automatic": request.automatic,
        "line": request.prefix.count("\n") + 1,
        "charactersBefore": len(request.prefix),
        "charactersAfter": len(request.suffix),
        "selected": bool(request.selected),
    }


def _prompt(prompt: Prompt | None) -> dict[str, object] | None:
    if prompt is None:
        return None
    return {
        "prefixCharacters": len(prompt.prefix),
        "suffixCharacters": len(prompt.suffix),
        "snippets": [snippet.path for snippet in prompt.snippets],
        "candidates": prompt.candidates,
        "priority": prompt.priority,
        "singleLine": prompt.stop.single_line,
    }


def _answer(answer: Answer | None) -> dict[str, object] | None:
    """The answer as it is now; it may have grown since the request was answered."""
    if answer is None:
        return None
    timings = answer.report.timings if answer.report else None
    return {
        "complete": answer.complete,
        "ended": answer.stopped or answer.ended_by(),
        "tokensKept": timings.tokens_kept if timings else None,
        "tokensEvaluated": timings.tokens_evaluated if timings else None,
        "tokensGenerated": timings.tokens_generated if timings else None,
        "tokensDrafted": timings.tokens_drafted if timings else None,
        "tokensAccepted": timings.tokens_accepted if timings else None,
        "firstTokenMs": round(timings.first_token_ms, 1) if timings else None,
        "evaluateMs": round(timings.evaluate_ms, 1) if timings else None,
        "generateMs": round(timings.generate_ms, 1) if timings else None,
        "notes": list(answer.report.notes) if answer.report else [],
    }
