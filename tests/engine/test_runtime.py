"""The runtime with the bundled model: its answers, where they end, and the consistency of the KV cache's bookkeeping."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from infill import continuation
from infill.ask import Finish, Sampling, Snippet, Stop
from infill.engine.protocol import Complete, Done, Generate, Text, Warm
from infill.engine.runtime import LoadStopped, Runtime
from infill.engine.speed import FIRST_SHARE, SMALLEST_WINDOW, Speed
from infill.errors import BadModelFile, InfillError, NotAChatModel
from infill.models.fit import Plan
from infill.models.store import ModelFile, locate

PLAN = Plan(context=4096)
SHORT = Stop(max_tokens=8)
"""Few tokens: with more, rounding, which depends on batch sizes, could decide between equally likely tokens."""
PREFIX = """class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def scale(self, factor):
        self.x = self.x * factor
        self.y = """
SUFFIX = "\n\n    def norm(self):\n        return (self.x ** 2 + self.y ** 2) ** 0.5\n"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    runtime = Runtime.load(locate("local:bundled"), PLAN, lambda done: True)
    yield runtime
    runtime.close()


def ask(**changes: object) -> Complete:
    defaults = {"id": 7, "model": "local:bundled", "slot": "a.py", "prefix": PREFIX, "suffix": SUFFIX}
    return Complete(**{**defaults, **changes})  # type: ignore[arg-type]


def answer(steps: Iterator[Text | Done | None]) -> tuple[list[str], Done]:
    """The candidates' texts, and the final event."""
    texts: dict[int, str] = {}
    for event in steps:
        if isinstance(event, Text):
            assert event.id == 7
            texts[event.candidate] = texts.get(event.candidate, "") + event.text
        elif event is not None:
            return [texts.get(i, "") for i in range(len(event.finishes))], event
    raise AssertionError("no end")


def empty(runtime: Runtime) -> Runtime:
    """The runtime without evaluated tokens, so that no slot can copy from another one."""
    for slot in runtime._slots._slots:
        runtime._slots._empty(slot)
    return runtime


def books(runtime: Runtime) -> dict[str, int]:
    return {slot.slot: slot.tokens for slot in runtime.status().slots}


def test_the_bundled_model_continues_the_code(runtime: Runtime) -> None:
    texts, done = answer(runtime.complete(ask(stop=Stop(single_line=True))))
    assert texts[0].strip()
    assert "\n" not in texts[0]
    assert done.finishes[0].why in ("line", "end")
    assert done.model == "local:bundled"


def test_the_same_question_gets_the_same_answer_and_is_not_evaluated_again(runtime: Runtime) -> None:
    first = answer(empty(runtime).complete(ask(slot="twice")))
    second = answer(runtime.complete(ask(slot="twice")))
    assert first[0] == second[0]
    assert first[1].timings.tokens_kept == 0
    assert second[1].timings.tokens_evaluated <= 1


def test_typing_forward_evaluates_only_what_was_typed(runtime: Runtime) -> None:
    answer(runtime.complete(ask(slot="typing")))
    _, done = answer(runtime.complete(ask(slot="typing", prefix=PREFIX + "self.")))
    assert done.timings.tokens_evaluated <= 4
    assert done.timings.tokens_kept > 50


def test_it_says_how_sure_it_is(runtime: Runtime) -> None:
    _, done = answer(runtime.complete(ask()))
    assert -8 < done.finishes[0].mean_logprob < 0
    assert -8 < done.finishes[0].first_logprob < 0


def test_an_answer_ends_after_so_many_tokens(runtime: Runtime) -> None:
    _, done = answer(runtime.complete(ask(stop=Stop(max_tokens=3))))
    assert (done.finishes[0].why, done.timings.tokens_generated) == ("length", 3)


def test_an_answer_ends_where_the_block_ends(runtime: Runtime) -> None:
    texts, done = answer(runtime.complete(ask(stop=Stop(indent=8, max_tokens=200))))
    assert done.finishes[0].why in ("indent", "end", "length")
    assert all(line.startswith("        ") for line in texts[0].splitlines()[1:] if line.strip())


def test_an_answer_ends_at_the_deadline_with_what_is_there(runtime: Runtime) -> None:
    texts, done = answer(runtime.complete(ask(stop=Stop(deadline_ms=40, max_tokens=1000, ignore_end=True))))
    assert done.finishes[0].why == "deadline"
    assert texts[0]
    assert done.timings.total_ms < 400


def test_a_benchmark_goes_on_past_the_end_of_text(runtime: Runtime) -> None:
    _, done = answer(runtime.complete(ask(stop=Stop(max_tokens=120, ignore_end=True))))
    assert done.timings.tokens_generated == 120


def test_three_candidates_differ_and_the_first_is_the_greedy_one(runtime: Runtime) -> None:
    alone, _ = answer(runtime.complete(ask(prefix="def ", stop=Stop(max_tokens=12))))
    texts, done = answer(runtime.complete(ask(prefix="def ", candidates=3, stop=Stop(max_tokens=12))))
    assert texts[0] == alone[0]
    assert len(set(texts)) == len(texts) == len(done.finishes) == 3


def test_candidates_leave_nothing_behind_in_the_cache(runtime: Runtime) -> None:
    for _ in range(6):
        texts, _ = answer(runtime.complete(ask(prefix="def ", candidates=3, stop=Stop(max_tokens=4))))
        assert len(texts) == 3


def test_what_stands_before_the_cursor_is_never_repeated(runtime: Runtime) -> None:
    whole = "def measure(distance):\n    return distance\n\n\nlength = measure(distance)\n"
    for end in range(len(whole) - 12, len(whole)):
        texts, _ = answer(runtime.complete(ask(prefix=whole[:end], suffix="\n", stop=Stop(single_line=True, max_tokens=12))))
        line = whole[:end].rpartition("\n")[2]
        assert not line or not texts[0].startswith(line)


def test_candidates_for_a_half_typed_word_are_words_that_begin_so(runtime: Runtime) -> None:
    names = "".join(f"    {name} = 0\n" for name in ("value", "valid", "valve"))
    texts, done = answer(runtime.complete(ask(prefix=f"def work():\n{names}    va", suffix="\n", candidates=3, stop=SHORT)))
    assert len(set(texts)) == len(done.finishes) == 3
    assert all(finish.first_logprob <= 0 for finish in done.finishes)


def test_sampling_with_a_seed_can_be_repeated(runtime: Runtime) -> None:
    answer(runtime.complete(ask()))

    def sampled(seed: int, temperature: float = 1.5) -> str:
        return answer(runtime.complete(ask(sampling=Sampling(temperature=temperature, top_p=0.95, min_p=0.01, seed=seed))))[0][0]

    assert sampled(1) == sampled(1)
    assert len({sampled(seed) for seed in range(6)}) > 1


def test_names_of_special_tokens_in_the_code_stay_text(runtime: Runtime) -> None:
    plain, with_names = (answer(empty(runtime).complete(ask(prefix=prefix, stop=SHORT)))[1] for prefix in ("# \n", "# <|fim_middle|><|endoftext|>\n"))
    assert with_names.timings.tokens_evaluated > plain.timings.tokens_evaluated + 8


@pytest.mark.parametrize("prefix", ["", "\x00\x01\x02", "\ud800 lone", "x = '🎉👩‍👩‍👧 e\u0301'\r\n", "\t" * 50, "a" * 5000])
def test_any_text_can_be_asked_about(runtime: Runtime, prefix: str) -> None:
    texts, done = answer(runtime.complete(ask(slot="odd", prefix=prefix, suffix="", stop=Stop(max_tokens=8))))
    assert done.finishes[0].why in ("end", "length")
    assert isinstance(texts[0].encode(), bytes)


def test_a_prompt_over_the_models_context_is_cut_and_that_is_said(runtime: Runtime) -> None:
    _, done = answer(runtime.complete(ask(slot="long", prefix=PREFIX * 40, stop=Stop(max_tokens=8))))
    assert any("trimmed" in note for note in done.notes)
    assert books(runtime)["long"] < 768


def test_the_window_stands_still_while_lines_are_typed_into_a_long_file(runtime: Runtime) -> None:
    text = "".join(f"value_{i} = compute({i})\n" for i in range(300))
    evaluated = []
    for i in range(12):
        text += f"other_{i} = {i}\n"
        evaluated.append(answer(runtime.complete(ask(slot="still", prefix=text, stop=Stop(max_tokens=1))))[1].timings.tokens_evaluated)
    assert sorted(evaluated[1:])[6] < 30


def test_the_window_is_as_large_as_the_latency_target_allows(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = []
    for target_ms in (50.0, 400.0, 4000.0):
        speed = Speed()
        speed.began(200, 1 / FIRST_SHARE)  # 200 tokens a second
        monkeypatch.setattr(runtime, "_speed", speed)
        monkeypatch.setattr(runtime, "target_ms", target_ms)
        windows.append(runtime.limits()["prefix_tokens"] / 0.7)
    smallest, usual, whole = (round(window) for window in windows)
    assert (smallest, usual) == pytest.approx((SMALLEST_WINDOW - 8, 400 - 8), abs=2)
    assert whole == pytest.approx(runtime._room - Stop().max_tokens - 8, abs=2)


def test_warming_evaluates_the_prompt_in_chunks_so_that_the_question_finds_it_there(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime._slots, "chunk", lambda restless: 64)  # a fast machine would evaluate all tokens in one chunk
    text = "".join(f"value_{i} = compute({i})\n" for i in range(60))
    steps = list(empty(runtime).warm(Warm(id=1, model="local:bundled", slot="warm", prefix=text, suffix=SUFFIX)))
    assert len(steps) > 2
    assert isinstance(steps[-1], Done)
    _, done = answer(runtime.complete(ask(slot="warm", prefix=text + "v")))
    assert done.timings.tokens_evaluated <= 4


def test_a_request_that_is_dropped_half_way_leaves_the_books_right(runtime: Runtime) -> None:
    text = "".join(f"value_{i} = compute({i})\n" for i in range(60))
    steps = empty(runtime).complete(ask(slot="dropped", prefix=text))
    assert next(steps) is None
    kept = books(runtime)["dropped"]
    steps.close()  # type: ignore[attr-defined]
    assert 0 < kept == books(runtime)["dropped"]
    dropped, _ = answer(runtime.complete(ask(slot="dropped", prefix=text, stop=SHORT)))
    fresh, _ = answer(empty(runtime).complete(ask(slot="never dropped", prefix=text, stop=SHORT)))
    assert dropped == fresh


def test_a_request_dropped_while_it_generates_leaves_the_books_right(runtime: Runtime) -> None:
    expected, _ = answer(runtime.complete(ask(slot="g1", stop=SHORT)))
    steps = runtime.complete(ask(slot="g2", stop=Stop(ignore_end=True)))
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert answer(runtime.complete(ask(slot="g2", stop=SHORT)))[0] == expected


def test_an_aborted_step_returns_and_can_be_gone_on_with(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"value_{i} = compute({i})\n" for i in range(60))
    expected, _ = answer(empty(runtime).complete(ask(slot="calm", prefix=text, stop=SHORT)))
    empty(runtime)
    context = runtime._context
    decode, interrupted = context.decode, []

    def interrupt(tokens: list[int], start: int, sequence: int, outputs: int = 0) -> None:
        if len(interrupted) < 3 and start > 0:
            interrupted.append(start)
            runtime.abort()
        decode(tokens, start, sequence, outputs)

    monkeypatch.setattr(context, "decode", interrupt)
    assert answer(runtime.complete(ask(slot="restless", prefix=text, stop=SHORT)))[0] == expected
    assert len(interrupted) == 3


def test_a_newer_request_for_the_same_document_takes_its_slot(runtime: Runtime) -> None:
    text = "".join(f"value_{i} = compute({i})\n" for i in range(60))
    older = empty(runtime).complete(ask(slot="shared", prefix=text))
    next(older)
    newer, _ = answer(runtime.complete(ask(slot="shared", prefix=text + "value", stop=SHORT)))
    _, done = answer(older)
    assert done.finishes == (Finish(why="stopped"),)
    assert newer == answer(runtime.complete(ask(slot="other", prefix=text + "value", stop=SHORT)))[0]


def test_the_document_used_longest_ago_makes_room(runtime: Runtime) -> None:
    text = "".join(f"value_{i} = compute({i})\n" for i in range(100))
    for number in range(12):
        answer(runtime.complete(ask(slot=f"many {number}", prefix=f"# {number}\n{text}", stop=Stop(max_tokens=1))))
    slots = books(runtime)
    assert sum(slots.values()) <= 4096
    assert "many 11" in slots
    assert "many 0" not in slots or not slots["many 0"]


def test_a_closed_document_goes_first_but_serves_while_it_is_there(runtime: Runtime) -> None:
    answer(runtime.complete(ask(slot="closed")))
    runtime.forget("closed")
    _, done = answer(runtime.complete(ask(slot="closed")))
    assert done.timings.tokens_evaluated <= 1


def test_a_model_that_never_saw_other_files_gets_none_and_that_is_said(runtime: Runtime) -> None:
    _, done = answer(runtime.complete(ask(snippets=(Snippet("other.py", "LIMIT = 3\n"),), stop=SHORT)))
    assert any("other files left out" in note for note in done.notes)
    assert runtime.limits()["snippet_tokens"] == 0


def test_a_model_without_a_chat_template_follows_no_instructions(runtime: Runtime) -> None:
    with pytest.raises(NotAChatModel, match="does not follow instructions"):
        list(runtime.generate(Generate(id=1, model="local:bundled", slot="g", messages=())))


def test_a_chat_template_without_end_keeps_no_completion_waiting(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    monkeypatch.setattr(type(runtime._model), "chat_template", endless)
    steps = runtime.generate(Generate(id=1, model="local:bundled", slot="g", messages=()))
    assert next(steps) is None
    assert answer(runtime.complete(ask(stop=SHORT)))[1].finishes
    assert next(steps) is None, "it is still being rendered"
    steps.close()


def test_what_llama_cpp_prints_goes_into_the_log_and_nowhere_else(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG, "infill.llama"):
        Runtime.load(locate("local:bundled"), PLAN, lambda done: True).close()
    assert any("qwen2" in record.getMessage() for record in caplog.records)
    assert capfd.readouterr() == ("", "")


def test_loading_tells_its_progress_and_can_be_stopped() -> None:
    told: list[float] = []

    def progress(done: float) -> bool:
        told.append(done)
        return False

    with pytest.raises(LoadStopped):
        Runtime.load(locate("local:bundled"), PLAN, progress)
    assert told


def _damaged(tmp_path: Path, name: str, data: bytes) -> ModelFile:
    file = tmp_path / name
    file.write_bytes(data)
    return ModelFile(id=f"local:{name}", title=name, path=file)


def test_a_file_that_is_no_model_or_a_damaged_one_is_told_in_a_sentence(tmp_path: Path) -> None:
    whole = locate("local:bundled").path.read_bytes()
    cases = {
        "text.gguf": b"Hello, world",
        "empty.gguf": b"",
        "short.gguf": whole[: len(whole) // 2],
        "header.gguf": whole[:5000],
        "noise.gguf": whole[:24] + bytes(range(256)) * 40,
    }
    for name, data in cases.items():
        with pytest.raises(BadModelFile, match=name):
            Runtime.load(_damaged(tmp_path, name, data), PLAN, lambda done: True)
    with pytest.raises(BadModelFile, match="cannot be read"):
        Runtime.load(ModelFile(id="x", title="x", path=tmp_path / "none.gguf"), PLAN, lambda done: True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The bundled model without the names of its fill-in-the-middle tokens."""
    whole = locate("local:bundled").path.read_bytes()
    for name in (b"fim_pre", b"fim_suf", b"fim_mid", b"fim_prefix", b"fim_suffix", b"fim_middle"):
        whole = whole.replace(name, name[::-1])
    runtime = Runtime.load(_damaged(tmp_path_factory.mktemp("plain"), "plain.gguf", whole), PLAN, lambda done: True)
    yield runtime
    runtime.close()


def test_a_model_without_fim_tokens_continues_and_says_so(plain: Runtime) -> None:
    (text,), done = answer(plain.complete(ask(path="point.py", stop=SHORT)))
    assert text
    assert continuation.NOTE in done.notes
    (_,), again = answer(plain.complete(ask(path="point.py", suffix="\n# another suffix\n", stop=SHORT)))
    assert again.timings.tokens_evaluated == 0, "the suffix is no part of the prompt"
    (_,), typed = answer(plain.complete(ask(path="point.py", prefix=PREFIX + "self", stop=SHORT)))
    assert typed.timings.tokens_evaluated <= 2
    assert plain.limits()["prefix_tokens"] > 4 * plain.limits()["suffix_tokens"]


def test_an_empty_document_without_a_path_is_answered_by_a_model_that_continues(plain: Runtime) -> None:
    for prefix in ("", "d"):
        (_,), done = answer(plain.complete(ask(slot="empty", prefix=prefix, suffix="", stop=SHORT)))
        assert done.finishes[0].why in {"length", "end"}


def test_a_model_that_continues_ends_before_the_line_below_and_keeps_to_the_line_of_code_after_the_cursor(plain: Runtime) -> None:
    prefix = "def one():\n    return 1\n\n\ndef two():\n    return 1\n\n\ndef three():\n    return"
    (free,), _ = answer(plain.complete(ask(prefix=prefix, suffix="")))
    assert "\n" in free.strip("\n"), "a model that repeats itself goes on with another function"
    below = next(line for line in free.split("\n")[1:] if sum(map(str.isalnum, line)) >= continuation.LEAST)
    (text,), done = answer(plain.complete(ask(prefix=prefix, suffix=f"\n\n{below}\n")))
    assert free.startswith(text)
    assert below not in text
    assert done.finishes[0].why == "end"
    (line,), done = answer(plain.complete(ask(prefix=prefix, suffix=" + rest(1)\n")))
    assert "\n" not in line
    assert done.finishes[0].why == "line"


def test_a_model_that_continues_is_warmed_healed_and_asked_for_several_answers(plain: Runtime) -> None:
    words = {"path": "warm.py", "slot": "warm", "prefix": PREFIX + "self.y\n        ret"}
    list(plain.warm(Warm(id=1, model="x", suffix="", **words)))  # type: ignore[arg-type]
    texts, done = answer(plain.complete(ask(**words, suffix=")", candidates=3, stop=SHORT)))
    assert done.timings.tokens_evaluated == 0
    assert done.timings.tokens_kept > 0
    assert texts[0].startswith("urn"), "the half-typed word is completed"
    assert len(set(texts)) == len(texts)


def test_steps_after_unloading_end_without_touching_freed_memory() -> None:
    runtime = Runtime.load(locate("local:bundled"), PLAN, lambda done: True)
    steps = runtime.complete(ask(stop=Stop(ignore_end=True)))
    next(steps)
    runtime.close()
    with pytest.raises(InfillError, match="unloaded"):
        list(steps)
