"""Which files may be read for a prompt, on a real file system."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from infill.privacy.files import Guard
from infill.settings import Privacy


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "name",
    [".env", ".env.production", "prod.env", "server.pem", "deep/down/tls.key", "id_rsa", "id_ed25519.pub", ".ssh/config", ".aws/credentials", ".netrc",
     "kubeconfig", ".kube/config", "terraform.tfvars", "my-credentials.json", "client_secret_1.json", ".npmrc", ".pypirc", "store.jks", "vault.kdbx",
     ".docker/config.json", ".git/config", "secrets/db.py", "secrets.yaml", ".PEM/Key.PEM", ".bash_history", ".env~", "#.env#", ".#id_rsa", ".env.bak",
     "tls.key.1", "id_rsa copy 2", ".env - copy", ".env::$DATA", ".env. .", "~$passwords.txt", "tls.key (1)"],
)  # fmt: skip
def test_secrets_are_known_by_their_names(tmp_path: Path, name: str) -> None:
    assert "secrets" in Guard([tmp_path], Privacy()).refusal(put(tmp_path / name))


@pytest.mark.parametrize(
    "name",
    [
        "main.py",
        ".env.example",
        "id_card.py",
        "secretary.py",
        "environment.py",
        "keys.ts",
        "src/monkey.go",
        "secrets.py",
        "pem.rs",
        "id_card.py~",
        ".env.example~",
        "main copy.py",
    ],
)
def test_code_is_not_taken_for_a_secret(tmp_path: Path, name: str) -> None:
    assert Guard([tmp_path], Privacy()).refusal(put(tmp_path / name)) == ""


def test_a_workspace_may_be_named_like_a_secret(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert Guard([folder], Privacy()).refusal(put(folder / "main.py")) == ""


def test_ignore_files_are_followed_as_git_follows_them(tmp_path: Path) -> None:
    put(tmp_path / ".gitignore", "*.log\nbuild/\n!keep.log\n/top.py\n")
    put(tmp_path / "sub/.gitignore", "!again.log\nlocal.py\n")
    put(tmp_path / "sub/.infillignore", "private/**\n")
    names = ["a.log", "keep.log", "build/x.py", "build/keep.log", "top.py", "sub/top.py", "sub/again.log", "sub/b.log", "sub/local.py", "local.py",
             "sub/private/x.py", "main.py"]  # fmt: skip
    for name in names:
        put(tmp_path / name)
    guard = Guard([tmp_path], Privacy())
    refused = {name for name in names if guard.refusal(tmp_path / name)}
    assert refused == {"a.log", "build/x.py", "build/keep.log", "top.py", "sub/b.log", "sub/local.py", "sub/private/x.py"}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    said = subprocess.run(["git", "-C", str(tmp_path), "check-ignore", *names], capture_output=True, text=True).stdout.split()
    assert refused - {"sub/private/x.py"} == set(said), "git itself says otherwise"


def test_a_changed_ignore_file_counts_at_once(tmp_path: Path) -> None:
    file, ignore = put(tmp_path / "main.py"), put(tmp_path / ".gitignore", "")
    guard = Guard([tmp_path], Privacy())
    assert guard.refusal(file) == ""
    ignore.write_text("main.py\n")
    os.utime(ignore, ns=(1, 1))
    assert guard.refusal(file) == ".gitignore names it"


def test_the_users_own_patterns_count_too(tmp_path: Path) -> None:
    guard = Guard([tmp_path], Privacy(exclude=["legal/", "*.sql"]))
    assert guard.refusal(put(tmp_path / "legal/a.py")) == "privacy.exclude names it"
    assert guard.refusal(put(tmp_path / "x.sql")) == "privacy.exclude names it"


def test_what_lies_outside_the_workspace_stays_there(tmp_path: Path) -> None:
    guard = Guard([tmp_path / "work"], Privacy())
    assert "outside" in guard.refusal(put(tmp_path / "other/main.py"))


def test_a_link_does_not_lead_out_of_the_workspace(tmp_path: Path) -> None:
    secret = put(tmp_path / "home/.ssh/id_rsa")
    link = tmp_path / "work/innocent.py"
    link.parent.mkdir()
    link.symlink_to(secret)
    assert Guard([tmp_path / "work"], Privacy()).refusal(link)


def test_a_workspace_behind_a_link_is_inside_itself(tmp_path: Path) -> None:
    put(tmp_path / "real/main.py")
    (tmp_path / "work").symlink_to(tmp_path / "real")
    assert Guard([tmp_path / "work"], Privacy()).refusal(tmp_path / "work/main.py") == ""


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    guard = Guard([tmp_path], Privacy(max_file_kilobytes=1))
    assert "larger" in guard.refusal(put(tmp_path / "big.py", "x" * 2000))
    assert guard.refusal(put(tmp_path / "small.py"), size=100) == ""
    assert "larger" in guard.refusal(tmp_path / "small.py", size=5000)


def test_a_pattern_that_makes_no_sense_is_skipped_as_git_does(tmp_path: Path) -> None:
    put(tmp_path / ".gitignore", "[\n!!!\nmain.py\n")
    assert Guard([tmp_path], Privacy()).refusal(put(tmp_path / "main.py"))


def test_an_impossible_path_is_refused(tmp_path: Path) -> None:
    assert Guard([tmp_path], Privacy()).refusal("nul\0byte") != ""


def test_the_repositorys_ignore_file_counts_in_a_workspace_that_is_a_part_of_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    put(tmp_path / ".gitignore", "/part/hidden.py\n")
    file = put(tmp_path / "part/hidden.py")
    assert Guard([tmp_path / "part"], Privacy()).refusal(file) == ".gitignore names it"
    assert Guard([], Privacy()).refusal(file) == ".gitignore names it"
    assert Guard([], Privacy()).refusal(put(tmp_path / "part/shown.py")) == ""
