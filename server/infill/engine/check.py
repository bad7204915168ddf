"""Checks a model by using it, in a separate process: `python -m infill.engine.check JOB`, where JOB is a `Job` as JSON.

JSON lines on stdout:

    {"share": 0.4}          progress
    {"result": {...}}       a `models.checked.Checked`
    {"error": sentence, "hint": sentence}   the model cannot be loaded

The first part determines the order of the prompt. It computes the mean log-probability of the right answers in each order, with the file's tokens
and, as a control, with exchanged ones. The second part fills the holes and follows the instructions with `Runtime`, as the engine does.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil

from infill.ask import Message, Stop
from infill.engine import check_places, measure, trial
from infill.engine.check_cases import TASKS, Hole, holes
from infill.engine.llama import Context, Model
from infill.engine.prompt_tokens import FillOrder, Fim, Parts, fim_of, join
from infill.engine.protocol import Complete, Done, Generate, Text
from infill.engine.runtime import Runtime
from infill.engine.sampling import log_probability
from infill.errors import BadChatTemplate, EngineCrashed, InfillError
from infill.models import calibration
from infill.models.checked import ORDERS, Checked
from infill.models.child import is_disturbed
from infill.models.fit import Plan
from infill.models.store import ModelFile

CONTEXT = 512
LOWEST = 19
"""Niceness."""
ANSWER = Stop(max_tokens=32, deadline_ms=120_000)
SAID = Stop(max_tokens=160, deadline_ms=300_000)
MARGIN = 0.3
"""Nats per token by which another arrangement of the prompt must be better to count as better."""
MARKS = re.compile(r"<\|[^|<>\s]{1,40}\|>|<\|?(?:start|end)_(?:of_turn|of_role|header_id)\|?>|\[/?INST\]")
"""Control tokens in the chat templates of published models."""
INSTRUCT = re.compile(r"(?i)(?:^|[\W_])(?:instruct|chat)(?:$|[\W_])")

ENDS = 1.0
"""Minimum increase, in nats, of the end tokens' log-probability after a right answer, if they work. Measured: 6 with such tokens, -5 without."""
Say = Callable[[float], None]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to check, and how to load it."""

    id: str
    title: str
    path: str
    plan: Plan
    fim_order: Literal["", "psm", "spm"] = ""
    languages: tuple[str, ...] = ()
    background: bool = False
    """Run at the lowest priority."""

    @property
    def file(self) -> ModelFile:
        return ModelFile(id=self.id, title=self.title, path=Path(self.path), fim_order=self.fim_order)


class Arrangement(msgspec.Struct, frozen=True, kw_only=True):
    """How well the right answers fit different arrangements of the prompt, in nats per token."""

    named: FillOrder | None
    """The order in the file or the catalogue; None if neither has one."""
    scores: dict[str, float]
    """By order."""
    exchanged: dict[str, float]
    """By order, with the suffix and middle tokens exchanged."""
    continued: float
    """With the prefix alone."""
    ending: float
    """Increase, in nats, of the end tokens' log-probability after the right answer: a model trained with its end token ends there."""

    @property
    def best(self) -> FillOrder:
        return "spm" if self.scores["spm"] > self.scores["psm"] else "psm"

    @property
    def order(self) -> FillOrder:
        """The order to use for prompts."""
        return self.named or self.best

    @property
    def fills(self) -> bool:
        """Whether the suffix improves its answers."""
        return self.continued <= max(self.scores.values()) + MARGIN

    def problems(self) -> list[str]:
        best, exchanged = max(self.scores.values()), max(self.exchanged.values())
        if exchanged > best + MARGIN:
            return ["Its suffix and middle tokens seem to be exchanged in the file: it fills in better with each in the other's place."]
        if not self.fills:
            return ["It was not trained to fill in the middle: it continues better without its fill-in-the-middle tokens."]
        if self.named and self.scores[self.best] > self.scores[self.named] + MARGIN:
            return [f"The file says {ORDERS[self.named]}, but the model fills in better {ORDERS[self.best]}."]
        return []


def check(job: Job, say: Say) -> Checked:
    """Run the whole check. Raises InfillError if the model cannot be loaded."""
    try:
        plan = trial.verified(job.file, job.plan, lambda _: True)
    except EngineCrashed as exc:
        return Checked(holes=0, filled=0, problems=(exc.message,))
    chosen = holes(job.languages)
    known = _looked_at(job, plan, chosen)
    say(0.3)
    used = _used(job, plan, known, chosen, say)
    return msgspec.structs.replace(used, tokens_per_second=_speed(job, plan), restricted=plan.restricted)


# ---- the vocabulary


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the file shows before the model generates."""

    arranged: Arrangement | None = None
    """None if it has no fill-in-the-middle tokens."""
    problems: tuple[str, ...] = ()
    chats: bool = False
    """Its chat template can be rendered."""

    @property
    def order(self) -> Literal["", "psm", "spm"]:
        return self.arranged.order if self.arranged and self.arranged.fills else ""


def _looked_at(job: Job, plan: Plan, chosen: Sequence[Hole]) -> Known:
    """The vocabulary, the chat template, and the arrangement of the prompt."""
    model = Model(Path(job.path), plan, lambda _: True)
    try:
        problems = [] if any(model.is_end(token) for token in range(model.vocabulary)) else ["The file names no token that ends an answer."]
        found = _template_problems(model, job.title)
        arranged = _tried_orders(model, job, plan, chosen)
        problems += found + (arranged.problems() if arranged else [])
        return Known(arranged=arranged, problems=tuple(problems), chats=bool(model.chat_template) and not found)
    finally:
        model.close()


def _template_problems(model: Model, title: str) -> list[str]:
    """Problems of the chat template: it does not render, or it writes control tokens that the vocabulary does not have as single tokens."""
    if not model.chat_template:
        says_so = INSTRUCT.search(f"{title} {model.metadata('general.name')}")
        return ["Its name says that it follows instructions, but the file has no chat template."] if says_so else []
    try:
        text = _last(model.render_chat([{"role": "user", "content": "hello"}]))
    except BadChatTemplate as exc:
        return [exc.message]
    split = [mark for mark in sorted(set(MARKS.findall(text))) if len(model.tokenize(mark, special=True)) != 1]
    return [f"The vocabulary has no token for {', '.join(split)}, which the chat template writes."] if split else []


def _last(steps: Generator[None, None, str]) -> str:
    """The return value of a generator."""
    returned: list[str] = []

    def run() -> Generator[None, None, None]:
        returned.append((yield from steps))

    for _ in run():
        pass
    return returned[0]


def _tried_orders(model: Model, job: Job, plan: Plan, chosen: Sequence[Hole]) -> Arrangement | None:
    fim = fim_of(model, job.fim_order)
    if fim.order == "prefix":
        return None
    context = Context(model, msgspec.structs.replace(plan, context=CONTEXT, batch=CONTEXT, micro_batch=CONTEXT), 1)
    try:
        named = fim.order if model.metadata("infill.fim_order") or job.fim_order else None
        return _arranged(model, context, fim, named, chosen)
    finally:
        context.close()


def _arranged(model: Model, context: Context, fim: Fim, named: FillOrder | None, chosen: Sequence[Hole]) -> Arrangement:
    replace = msgspec.structs.replace
    exchanged = replace(fim, suffix=fim.middle, middle=fim.suffix) if fim.middle >= 0 else fim
    orders: tuple[FillOrder, ...] = ("psm", "spm")

    ends = [token for token in range(model.vocabulary) if model.is_end(token)]

    def fits(arrangement: Fim | None) -> tuple[float, float]:
        found = [_likelihood(model, context, arrangement, hole, ends) for hole in chosen]
        return sum(score for score, _ in found) / len(found), sum(ending for _, ending in found) / len(found)

    tried = {order: fits(replace(fim, order=order)) for order in orders}
    return Arrangement(
        named=named,
        scores={order: score for order, (score, _) in tried.items()},
        exchanged={order: fits(replace(exchanged, order=order))[0] for order in orders},
        continued=fits(None)[0],
        ending=max(ending for _, ending in tried.values()),
    )


def _likelihood(model: Model, context: Context, fim: Fim | None, hole: Hole, ends: Sequence[int]) -> tuple[float, float]:
    """Two values for the usual answer of a hole: its mean log-probability per token, and how much more likely it makes the end tokens.

    Without `fim`, the answer follows the prefix alone.
    """
    prefix, answer = model.tokenize(hole.prefix), model.tokenize(hole.answers[0])
    prompt = join(fim, Parts(prefix=prefix, suffix=model.tokenize(hole.suffix))) if fim else prefix
    context.remove(0)
    tokens = [*prompt, *answer]
    context.decode(tokens, 0, 0, outputs=len(answer) + 1)
    rows = [context.logits(row) for row in range(len(prompt) - 1, len(tokens))]
    score = sum(log_probability(row, token) for row, token in zip(rows, answer, strict=False)) / len(answer)
    before, after = (max((log_probability(row, token) for token in ends), default=0.0) for row in (rows[0], rows[-1]))
    return score, after - before


# ---- answers


def _used(job: Job, plan: Plan, known: Known, chosen: Sequence[Hole], say: Say) -> Checked:
    """Fill the holes and follow the instructions, as the engine does."""
    runtime = Runtime.load(msgspec.structs.replace(job.file, fim_order=known.order), plan, lambda _: True)
    try:
        answers = _fill(runtime, chosen, say)
        done = _follow(runtime, say) if known.chats else None
        judged = [] if known.problems else check_places.lines(runtime, job.languages)
        say(0.9)
        memory = psutil.Process().memory_info().rss
    finally:
        runtime.close()
    filled = sum(hole.is_filled_by(text) for hole, (text, _) in zip(chosen, answers, strict=False))
    ended = sum(why == "end" for _, why in answers)
    problems = list(known.problems)
    if known.arranged and known.order and not ended and known.arranged.ending < ENDS:
        problems.append("None of its answers ended by itself: its end token is missing, or it was not trained with it.")
    if done == 0:
        problems.append("It followed no instruction: its chat template does not fit the model, or it is a base model.")
    return Checked(
        holes=len(answers),
        filled=filled,
        order=known.order,
        ended=ended,
        instructions=0 if done is None else len(TASKS),
        followed=done or 0,
        temperature=calibration.temperature(judged),
        places=len(judged),
        memory=memory,
        problems=tuple(problems),
    )


def _fill(runtime: Runtime, chosen: Sequence[Hole], say: Say) -> list[tuple[str, str]]:
    """The answer for each hole."""
    answers = []
    for number, hole in enumerate(chosen):
        asked = Complete(id=0, model="", slot=f"hole {number}", prefix=hole.prefix, suffix=hole.suffix, path=hole.path, stop=ANSWER, speculate=False)
        answers.append(_answer(runtime.complete(asked)))
        say(0.3 + 0.3 * (number + 1) / len(chosen))
    return answers


def _follow(runtime: Runtime, say: Say) -> int:
    """Number of instructions followed by an answer that ended by itself."""
    followed = 0
    for number, task in enumerate(TASKS):
        asked = Generate(id=0, model="", slot=f"task {number}", messages=(Message("user", task.instruction),), stop=SAID, speculate=False)
        text, why = _answer(runtime.generate(asked))
        followed += task.is_done_by(text) and why == "end"
        say(0.6 + 0.1 * (number + 1) / len(TASKS))
    return followed


def _answer(frames: Iterator[Text | Done | None]) -> tuple[str, str]:
    """The text, and why it ended."""
    text, why = "", ""
    for frame in frames:
        if isinstance(frame, Text):
            text += frame.text
        elif isinstance(frame, Done) and frame.finishes:
            why = frame.finishes[0].why
    return text, why


def _speed(job: Job, plan: Plan) -> float:
    """Tokens per second; 0 if other programs used the cores."""
    found = measure.measure(Path(job.path), plan)
    return 0.0 if found.error or is_disturbed(found.received) else found.generate_per_second


def main(arguments: list[str]) -> int:
    out = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(1)), daemon=True).start()

    def say(**facts: Any) -> None:
        os.write(out, msgspec.json.encode(facts) + b"\n")

    job = msgspec.json.decode(arguments[0], type=Job)
    if job.background:
        psutil.Process().nice(getattr(psutil, "IDLE_PRIORITY_CLASS", LOWEST))  # exists on Windows only
    try:
        say(result=check(job, lambda share: say(share=share)))
    except InfillError as exc:
        say(error=exc.message, hint=exc.hint)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # skips llama.cpp's destructors, which may crash
    os._exit(code)
