"""What a repository's small files may be: regular, small, inside the workspace. Anything else is refused at once and with a reason."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from infill.privacy.workspace_files import NotRead, read, read_text

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def test_a_regular_file_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / ".gitignore"
    file.write_bytes(b"\xef\xbb\xbf*.log\n\xff\n")
    assert read_text(file, tmp_path) == "*.log\n\ufffd\n"


def test_a_missing_file_is_no_problem(tmp_path: Path) -> None:
    assert read(tmp_path / "missing", tmp_path) is None
    assert read(tmp_path / "missing" / ".gitignore", tmp_path) is None


@posix
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "/dev/tty", "/etc/hostname", "/proc/self/fd/0", "/proc/self/environ"])
def test_a_link_does_not_lead_out_of_the_workspace(tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(NotRead):
        read(tmp_path / "link", tmp_path)


@posix
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/tty", "/proc/kmsg", "/proc/self/pagemap"])
def test_no_device_and_no_endless_file_is_read_where_links_may_lead_anywhere(tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(NotRead):
        read(tmp_path / "link", None, 1000)


@posix
def test_a_link_inside_the_workspace_is_followed(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("*.log")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".gitignore").symlink_to("../rules")
    assert read(tmp_path / "folder" / ".gitignore", tmp_path) == b"*.log"


@posix
def test_a_workspace_behind_a_link_is_inside_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / ".gitignore").write_text("*.log")
    (tmp_path / "link").symlink_to("real")
    assert read(tmp_path / "link" / ".gitignore", tmp_path / "link") == b"*.log"


@posix
def test_a_sibling_folder_with_a_longer_name_is_outside(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work2").write_text("*")
    (tmp_path / "work" / ".gitignore").symlink_to("../work2")
    with pytest.raises(NotRead, match="leads out of the workspace"):
        read(tmp_path / "work" / ".gitignore", tmp_path / "work")


@posix
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".gitignore")
    with pytest.raises(NotRead, match="not a regular file"):
        read(tmp_path / ".gitignore", tmp_path)


@posix
def test_a_socket_and_a_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".infill.toml").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(".gitignore")
        for name in (".gitignore", ".infill.toml"):
            with pytest.raises(NotRead, match="not a regular file"):
                read(tmp_path / name, tmp_path)


@posix
@pytest.mark.parametrize("target", ["missing", "loop"])
def test_a_link_to_nothing_and_a_link_to_itself_are_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "loop").symlink_to(target)
    with pytest.raises(NotRead):
        read(tmp_path / "loop", tmp_path)


def test_a_file_of_exactly_the_limit_is_read_and_a_larger_one_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1024)
    assert read(file, tmp_path, 1024) == b"x" * 1024
    with pytest.raises(NotRead, match="larger than 0 KiB"):
        read(file, tmp_path, 1023)


def test_a_sparse_file_of_gigabytes_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as stream:
        stream.truncate(1 << 32)
    with pytest.raises(NotRead, match="larger than 256 KiB"):
        read(tmp_path / "file", tmp_path)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotRead):
        read(tmp_path / "a\0b", tmp_path)


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0)
    with pytest.raises(NotRead, match="ermission"):
        read(tmp_path / "file", tmp_path)
