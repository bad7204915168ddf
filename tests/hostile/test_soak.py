"""The language server keeps nothing of what is over: a short run of `soak.py`, which measures long ones."""

from __future__ import annotations

from pathlib import Path

import soak


def test_requests_and_closed_documents_leave_no_task_and_no_document(shared_home: Path, tmp_path: Path) -> None:
    editor = soak.start(tmp_path)
    try:
        held = [counts for _, counts in soak.soak(editor, tmp_path, number=80, rounds=4, each=50, parts=2)]
        assert editor.leave() == 0
    finally:
        editor.kill()
    assert {counts["documents"] for counts in held} == {0}
    assert max(counts["tasks"] for counts in held) <= soak.IDLE, held
