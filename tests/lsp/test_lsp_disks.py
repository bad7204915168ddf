"""With a read-only home or a full disk, made by the operating system, the server reports an error and keeps running."""

from __future__ import annotations

import functools
import shutil
import subprocess

import pytest
from pygls.exceptions import JsonRpcException
from real_editor import ADD, SERVER, Editor, NewEditor

ALONE = ("unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-ec")
READ_ONLY = 'mount -t tmpfs -o ro tmpfs "$INFILL_HOME"; exec "$@"'
FULL = 'mount -t tmpfs -o size=64k tmpfs "$INFILL_HOME"; cat /dev/zero > "$INFILL_HOME/filler" 2>/dev/null || true; exec "$@"'


@functools.cache
def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ALONE, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="needs a mount namespace of one's own")


async def on_disk(new_editor: NewEditor, mounted: str) -> Editor:
    editor = await new_editor(command=(*ALONE, mounted, "sh", *SERVER))
    editor.open(ADD)
    return editor


async def test_a_home_on_a_read_only_disk_costs_a_sentence_not_the_server(new_editor: NewEditor) -> None:
    editor = await on_disk(new_editor, READ_ONLY)
    assert await editor.ghosts(4, 11, invoked=True) == []
    assert editor.kinds[-1] == "warning"
    assert "Read-only file system" in editor.statuses[-1].message and "INFILL_HOME" in editor.statuses[-1].message
    assert (await editor.command("infill.stats"))["shown"] == 0


async def test_on_a_full_disk_suggestions_come_all_the_same_and_only_the_statistics_are_lost(new_editor: NewEditor) -> None:
    editor = await on_disk(new_editor, FULL)
    (item, *_) = await editor.ghosts(4, 11, invoked=True)
    assert item.command is not None and item.command.arguments is not None
    await editor.command("infill.didAccept", *item.command.arguments)
    assert (await editor.command("infill.stats"))["accepted"] == 0
    editor.type("x", 4, 11)
    await editor.ghosts(4, 12, invoked=True)
    assert editor.kinds[-1] == "ready"
    with pytest.raises(JsonRpcException, match="No space left on device"):
        await editor.command("infill.switchModel", {"model": "local:bundled", "scope": "global"})
    assert editor.server.is_running()
