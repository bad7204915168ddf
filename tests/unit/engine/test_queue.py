"""Whose turn it is, without threads, clocks or models."""

from __future__ import annotations

from itertools import count

import pytest

from infill.ask import Stop
from infill.engine.protocol import Complete, Generate, Rewrite, Text, Warm
from infill.engine.queue import QUANTUM, TOGETHER, Job, Queue

numbers = count(1)


def job(kind: str = "automatic", client: str = "editor", slot: str = "main.py", model: str = "local:bundled") -> Job:
    if kind == "warm":
        ask = Warm(id=next(numbers), model=model, slot=slot, prefix="", suffix="")
    elif kind == "generate":
        ask = Generate(id=next(numbers), model=model, slot=slot, messages=())
    elif kind == "edit":
        ask = Rewrite(id=next(numbers), model=model, slot=slot, pieces=())
    else:
        ask = Complete(id=next(numbers), model=model, slot=slot, prefix="", suffix="", priority=kind, yield_after_line=True)
    made = Job(ask, client, 0.0, lambda frame: None)
    made.ready = True
    return made


def queue_of(*jobs: Job) -> Queue:
    queue = Queue()
    for one in jobs:
        queue.add(one)
    return queue


def begin(one: Job) -> None:
    one.steps = iter(())


def order(queue: Queue) -> list[Job]:
    """Who is served, each until its end."""
    served = []
    while (one := queue.take()) is not None:
        served.append(one)
        queue.ran(one, 0.01)
        queue.remove(one)
    return served


def test_what_a_user_asked_for_by_key_goes_first_and_background_work_last():
    kinds = ["warm", "background", "edit", "generate", "automatic", "invoked"]
    jobs = [job(kind, slot=f"{kind}.py") for kind in kinds]
    assert order(queue_of(*jobs)) == jobs[::-1]


def test_the_newest_automatic_request_of_each_client_goes_in_turn():
    old_a, new_a = job(client="a", slot="1"), job(client="a", slot="2")
    old_b, new_b = job(client="b", slot="1"), job(client="b", slot="2")
    assert order(queue_of(old_a, new_a, old_b, new_b)) == [new_a, new_b, old_a, old_b]


def test_a_client_keeps_its_turn_until_its_request_is_answered():
    first, other = job(client="a"), job(client="b")
    queue = queue_of(first, other)
    queue.ran(first, QUANTUM / 2)
    assert queue.take() is first


def test_a_slow_request_lets_the_next_client_have_its_turn_and_gets_it_back():
    slow, quick = job(client="a"), job(client="b")
    queue = queue_of(slow, quick)
    queue.ran(slow, QUANTUM * 2)
    assert queue.take() is quick
    queue.ran(quick, QUANTUM * 2)
    assert queue.take() is slow


def test_a_client_alone_is_not_made_to_wait_for_itself():
    slow = job()
    queue = queue_of(slow)
    queue.ran(slow, QUANTUM * 5)
    assert queue.take() is slow


@pytest.mark.parametrize(
    ("old", "new", "ends"),
    [
        ("automatic", "automatic", True),
        ("invoked", "automatic", True),
        ("automatic", "invoked", True),
        ("warm", "automatic", True),
        ("background", "automatic", True),
        ("warm", "warm", True),
        ("warm", "background", True),
        ("background", "background", True),
        ("background", "warm", False),
        ("automatic", "warm", False),
        ("automatic", "background", False),
        ("generate", "automatic", False),
        ("automatic", "generate", False),
        ("generate", "generate", True),
    ],
)
def test_a_newer_request_of_the_same_document_ends_the_older_where_that_is_pointless(old, new, ends):
    older = job(old)
    queue = queue_of(older)
    assert (queue.add(job(new)) == [older]) is ends
    assert (older in queue.jobs) is not ends


def test_another_document_or_another_editor_supersedes_nothing():
    queue = queue_of(job(client="a", slot="1"))
    assert queue.add(job(client="a", slot="2")) == []
    assert queue.add(job(client="b", slot="1")) == []


def test_two_editors_in_the_same_document_never_work_in_its_slot_at_once():
    first, second = job(client="a"), job(client="b")
    queue = queue_of(first, second)
    begin(first)
    queue.ran(first, QUANTUM * 2)
    assert queue.take() is first
    queue.remove(first)
    assert queue.take() is second


def test_background_work_gives_up_the_slot_that_a_waiting_user_needs():
    warming, asked = job("warm", client="a"), job(client="b")
    queue = queue_of(warming, asked)
    begin(warming)
    assert queue.in_the_way() == [warming]
    queue.remove(warming)
    assert queue.take() is asked


def test_with_its_first_line_complete_a_generation_goes_on_only_while_nobody_waits():
    answered, later = job(client="a"), job(client="b")
    queue = queue_of(answered)
    assert answered.saw(Text(id=1, text="\n"), 1.0) == []
    assert not answered.yielded
    assert [text.text for text in answered.saw(Text(id=1, text="    return 1\n"), 1.0)] == ["\n    return 1\n"]
    assert answered.yielded
    queue.add(later)
    assert order(queue) == [later, answered]


def test_what_follows_the_first_line_is_sent_in_larger_pieces():
    one = job()
    one.saw(Text(id=1, text="a\n"), 1.0)
    assert one.saw(Text(id=1, text="b"), 1.0 + TOGETHER / 2) == []
    assert [text.text for text in one.saw(Text(id=1, text="c"), 1.0 + TOGETHER * 2)] == ["bc"]


def test_candidates_are_not_mixed_up_when_their_text_is_gathered():
    one = job("invoked")
    one.saw(Text(id=7, text="a", candidate=0), 1.0)
    one.saw(Text(id=7, text="b", candidate=1), 1.0)
    assert [(text.candidate, text.text, text.id) for text in one.held(1.0)] == [(0, "a", one.ask.id), (1, "b", one.ask.id)]
    assert one.held(1.0) == []


def test_a_request_whose_model_is_not_in_memory_lets_others_pass():
    loading, other = job("invoked", model="local:big"), job("warm")
    loading.ready = False
    queue = queue_of(loading, other)
    assert queue.take() is other


def test_when_an_editor_closes_nothing_of_it_stays():
    gone, stays = job(client="a"), job(client="b")
    queue = queue_of(gone, stays)
    assert queue.leave("a") == [gone]
    assert order(queue) == [stays]


def test_a_request_ends_at_its_deadline_counted_from_its_arrival():
    one = Job(Complete(id=1, model="m", slot="s", prefix="", suffix="", stop=Stop(deadline_ms=500)), "a", 10.0, lambda frame: None)
    assert one.deadline == 10.5


def test_a_newer_next_edit_of_a_document_ends_the_older_one_and_no_completion():
    queue = Queue()
    completion, edit = job(), job("edit")
    queue.add(completion)
    queue.add(edit)
    assert queue.add(job("edit")) == [edit]
    assert completion in queue.jobs
