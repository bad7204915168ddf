"""Generates text from an evaluated prompt: a loop that chooses, checks and evaluates one token after another, for up to three candidates at once.

Independent of requests and slots: the input is a sequence whose next logits are known, the output is pieces of text. Where speculative decoding
pays, several drafted tokens are evaluated at once. Those that would have been chosen anyway are kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from infill.ask import Finish, Sampling, Stop
from infill.engine.drafts import Lookup, Policy
from infill.engine.llama import Aborted, CacheFull, Context, Logits, Model
from infill.engine.sampling import JUDGED, Chooser, compatible, likeliest
from infill.engine.stopping import TextStream, Why

LIKELY_ENOUGH = math.log(0.08)
"""Minimum log-probability of an unused token for another candidate to branch off there."""
PAUSE = 0.008
"""Seconds of decoding between two yields: text is sent, and other requests get a turn."""

Piece = tuple[int, str]
"""A candidate's number and its next piece of text."""


class Candidate:
    """One candidate while it is generated."""

    def __init__(self, number: int, sequence: int, position: int, stop: Stop, chooser: Chooser, below: str = "") -> None:
        self.number = number
        self.sequence = sequence
        self.position = position
        """Position of its next token."""
        self.row = -1
        """The row of the last batch with the logits of its next token."""
        self.draft: list[int] = []
        """Drafted tokens, evaluated after that row; used as far as they match the chosen tokens."""
        self.ready = False
        """The logits after its last token are known: it was part of a draft."""
        self.owed = b""
        """Text before the cursor that the answer must repeat first and that is not shown: a half-typed word."""
        self.chooser = chooser
        self.stream = TextStream(stop, below)
        self._stop = stop
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.logprob = 0.0
        """Log-probability of all chosen tokens, end token included."""

    @property
    def why(self) -> Why | None:
        return self.stream.why

    def take(self, token: int, logprob: float, model: Model) -> str:
        """Add a token; returns the text that is final."""
        self.logprob += logprob
        if not self._stop.ignore_end and model.is_end(token):
            return self.stream.finish("end")
        self.tokens.append(token)
        self.logprobs.append(logprob)
        piece = model.piece(token)
        self.owed, piece = self.owed[len(piece) :], piece[len(self.owed) :]
        text = self.stream.feed(piece)
        if self.why is None and len(self.tokens) >= self._stop.max_tokens:
            text += self.stream.finish("length")
        return text

    def finish(self) -> Finish:
        mean = sum(self.logprobs) / len(self.logprobs) if self.logprobs else 0.0
        return Finish(self.number, self.why or "stopped", mean, self.logprobs[0] if self.logprobs else 0.0, self.logprob)


class Generation:
    """Candidates that grow from one evaluated prompt."""

    def __init__(self, context: Context, model: Model, sampling: Sampling, stop: Stop, deadline: float, judged: int = JUDGED) -> None:
        """`judged`: number of tokens per candidate whose probability is computed."""
        self._context, self._model, self._judged = context, model, judged
        self._sampling, self._stop, self._deadline = sampling, stop, deadline
        self._make_lookup: Callable[[], Lookup] | None = None
        self._lookup: Lookup | None = None
        self._looked_up = 0
        self._policy = Policy()
        self._trial: tuple[int, int, float] | None = None
        """The current draft: its requested length, its actual length, and the seconds of its batch."""
        self._known: Logits | None = None
        self._owed = b""
        self._below = ""
        self.candidates: list[Candidate] = []
        self.seconds = 0.0
        """Seconds in llama.cpp after the first token."""
        self.evaluated = self.drafted = self.accepted = self._settled = 0

    def owe(self, text: bytes) -> None:
        """Make answers begin with this text, which is already before the cursor, and do not show it.

        A word cut by the cursor has other tokens than the whole word: the model has not learned `urn` as the continuation of `ret`. So the last
        token is left out of the prompt, and the answer begins with any token that agrees with it.
        """
        self._owed = text

    def end_before(self, line: str) -> None:
        """End answers before this line, the one below the cursor: a model that only continues the prefix does not see it."""
        self._below = line

    def draft_from(self, make_lookup: Callable[[], Lookup], policy: Policy) -> None:
        """Use drafts from the lookup where the policy allows it; for a single greedy candidate only."""
        self._make_lookup, self._policy = make_lookup, policy

    def run(
        self, sequence: int, position: int, count: int, branch: Callable[[], int | None], known: Logits | None = None
    ) -> Iterator[tuple[Piece, ...]]:
        """Generate until every candidate has ended. Yields the new text, possibly none, at least every PAUSE.

        `branch` returns an empty sequence for another candidate, or None if none is available. `known` are the logits of the first token if the last
        batch does not contain them.
        """
        self._known = known
        self._start(sequence, position, count, branch)
        waiting: list[Piece] = []
        looked = 0.0
        growing = self._growing()
        while growing:
            new = [piece for candidate in growing for piece in self._choose(candidate, count, branch)]
            waiting += new
            self._known = None
            now = time.monotonic()
            if now >= self._deadline:
                self._end("deadline")
            growing = self._growing()
            if now - looked > PAUSE or not growing or any("\n" in text for _, text in new):
                batches = self._context.batches
                yield _joined(waiting)
                waiting, looked = [], time.monotonic()
                if self._context.batches != batches:
                    self._forget_drafts()
            while not self._evaluate(growing):
                yield ()

    def _growing(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.why is None]

    def _end(self, why: Why) -> None:
        for candidate in self._growing():
            candidate.stream.finish(why)

    # -- choosing

    def _start(self, sequence: int, position: int, count: int, branch: Callable[[], int | None]) -> None:
        for number in range(count if self._sampling.temperature > 0 else 1):
            if (own := branch() if number else sequence) is not None:
                if number:
                    self._context.copy(sequence, own)
                self.candidates.append(Candidate(number, own, position, self._stop, Chooser(self._sampling, number, self._judged), self._below))
                self.candidates[-1].owed = self._owed

    def _choose(self, candidate: Candidate, count: int, branch: Callable[[], int | None]) -> list[Piece]:
        """Choose a candidate's next token. At the first uncertain token, the other candidates branch off."""
        pieces: list[Piece] = []
        logits = self._context.logits(candidate.row) if self._known is None else self._known
        options = self._options(candidate, logits, count)
        for token, logprob in options[1:]:
            if len(self.candidates) < count and logprob >= LIKELY_ENOUGH and (sequence := branch()) is not None:
                pieces += self._branch_off(candidate, sequence, token, logprob)
        token, logprob = options[0] if options else candidate.chooser.choose(logits, self._context, candidate.row)
        if text := candidate.take(token, logprob, self._model):
            pieces.append((candidate.number, text))
        self._check_draft(candidate, token)
        return pieces

    def _options(self, candidate: Candidate, logits: Logits, count: int) -> list[tuple[int, float]]:
        """Tokens to choose from, best first, if more than one candidate is wanted or not all tokens are allowed."""
        branching = candidate.chooser.greedy and candidate.number == 0 and len(self.candidates) < count
        if candidate.owed:
            options = compatible(logits, count if branching else 1, candidate.owed, self._model.piece)
            # if no likely token agrees, the answer repeats the text before the cursor with its usual token
            return options or [(self._model.tokenize(candidate.owed.decode("utf-8", "replace"))[0], 0.0)]
        return likeliest(logits, count) if branching else []

    def _branch_off(self, parent: Candidate, sequence: int, token: int, logprob: float) -> list[Piece]:
        self._context.copy(parent.sequence, sequence, 0, parent.position)
        child = Candidate(len(self.candidates), sequence, parent.position, self._stop, Chooser(self._sampling, judged=self._judged), self._below)
        child.owed = self._owed
        self.candidates.append(child)
        steps = [*zip(parent.tokens, parent.logprobs, strict=True), (token, logprob)]
        text = "".join(child.take(*step, self._model) for step in steps)
        return [(child.number, text)] if text else []

    def _check_draft(self, candidate: Candidate, token: int) -> None:
        candidate.ready = bool(candidate.draft) and candidate.draft[0] == token
        if candidate.ready:
            del candidate.draft[0]
            candidate.row += 1
            candidate.position += 1
            self.accepted += 1
        elif candidate.draft:
            candidate.draft.clear()
            self._context.remove(candidate.sequence, candidate.position)

    def _forget_drafts(self) -> None:
        """Drop the drafts: another request's batch replaced their logits."""
        for candidate in self._growing():
            if candidate.ready:
                candidate.position -= 1
            if candidate.ready or candidate.draft:
                candidate.draft.clear()
                candidate.ready = False
                self._context.remove(candidate.sequence, candidate.position)

    # -- evaluating

    def _evaluate(self, growing: list[Candidate]) -> bool:
        """Evaluate every candidate's last token in one batch; False if the batch was aborted."""
        if not growing or (len(growing) == 1 and growing[0].ready):
            return True
        self._settle_trial()
        start = time.perf_counter()
        try:
            if len(growing) == 1:
                self._evaluate_one(growing[0])
            else:
                self._context.decode_rows([(candidate.tokens[-1], candidate.position, candidate.sequence) for candidate in growing])
        except Aborted:
            return False
        except CacheFull:
            self._end("length")
            return True
        self.seconds += time.perf_counter() - start
        self.evaluated += 1
        for row, candidate in enumerate(growing):
            candidate.row = row
            candidate.position += 1
        return True

    def _evaluate_one(self, candidate: Candidate) -> None:
        wished = self._policy.length() if self._make_lookup and not candidate.owed else 0
        draft = self._timed_guess(candidate, wished) if wished else []
        start = time.perf_counter()
        self._context.decode([candidate.tokens[-1], *draft], candidate.position, candidate.sequence, 1 + len(draft))
        seconds = time.perf_counter() - start
        candidate.draft = draft
        if draft:
            self._trial = wished, len(draft), seconds
            self.drafted += len(draft)
        else:
            self._policy.plain(seconds)

    def _timed_guess(self, candidate: Candidate, wished: int) -> list[int]:
        start = time.perf_counter()
        draft = self._guess(candidate, wished)
        self._policy.looked(time.perf_counter() - start)
        return draft

    def _guess(self, candidate: Candidate, wished: int) -> list[int]:
        if self._lookup is None and self._make_lookup is not None:
            self._lookup = self._make_lookup()
        if self._lookup is None:
            return []
        for token in candidate.tokens[self._looked_up :]:
            self._lookup.add(token)
        self._looked_up = len(candidate.tokens)
        return self._lookup.guess(min(wished, self._stop.max_tokens - len(candidate.tokens)))

    def _settle_trial(self) -> None:
        """The last draft is used up: report its result to the policy."""
        if self._trial is not None:
            wished, drafted, seconds = self._trial
            self._policy.tried(wished, drafted, self.accepted - self._settled, seconds)
            self._trial = None
        self._settled = self.accepted

    def close(self) -> None:
        """Free the samplers."""
        self._settle_trial()
        for candidate in self.candidates:
            candidate.chooser.close()


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Merge pieces to one per candidate: each piece costs a turn of the queue and a message."""
    texts: dict[int, str] = {}
    for number, text in pieces:
        texts[number] = texts.get(number, "") + text
    return tuple(texts.items())
