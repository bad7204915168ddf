"""The language server keeps nothing of requests and documents that are over: a short run of `soak.py`."""

from __future__ import annotations

import pytest

import soak


def test_requests_and_closed_documents_leave_no_task_and_no_document() -> None:
    with soak.server() as (editor, folder):
        held = [counts for _, counts in soak.soak(editor, folder, number=80, rounds=4, each=50, parts=2)]
        assert editor.leave() == 0
    assert {counts["documents"] for counts in held} == {0}
    assert max(counts["tasks"] for counts in held) <= soak.IDLE, held


@pytest.mark.parametrize(
    ("memory", "tasks", "documents", "said"),
    [([50, 52, 51], 3, 0, ""), ([50, 53, 50], 3, 0, "memory grew by 6.0%"), ([50, 50], 90, 0, "left"), ([50, 50], 3, 1, "left")],
)
def test_growth_and_what_is_left_are_told(memory: list[float], tasks: int, documents: int, said: str) -> None:
    told = soak.verdict([{"memory": each, "tasks": tasks, "documents": documents} for each in memory])
    assert said in told and bool(said) == bool(told)
