"""Offline is offline: what the kernel saw of a day with every feature in it, where only this machine may be talked to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ADDRESS = re.compile(r"sin6?_port=htons\((\d+)\).*?(?:inet_addr\(\"([^\"]+)\"\)|inet_pton\(AF_INET6, \"([^\"]+)\")")
NAMESPACE = ["unshare", "--user", "--map-root-user", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
WATCH = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none", "-o"]


def _can_watch() -> bool:
    if not all(map(shutil.which, ("unshare", "ip", "strace"))):
        return False
    return subprocess.run([*NAMESPACE, "strace", "-qq", "-e", "trace=none", "true"], capture_output=True).returncode == 0


def strangers(log: str) -> list[str]:
    """The lines in which somebody spoke, or tried to, to another machine."""
    found = []
    for line in log.splitlines():
        address = ADDRESS.search(line)
        if address and not (address[2] or address[3]).startswith(("127.", "::1")):
            found.append(line)
    return found


def test_the_watch_knows_a_stranger() -> None:
    assert strangers('7 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("104.18.6.192")}, 16) = -1 ENETUNREACH')
    assert strangers('7 sendto(3, "..", 32, 0, {sa_family=AF_INET6, sin6_port=htons(53), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr)}, 28) = 32')
    assert not strangers('7 connect(3, {sa_family=AF_INET, sin_port=htons(8012), sin_addr=inet_addr("127.0.0.1")}, 16) = 0')
    assert not strangers('7 connect(3, {sa_family=AF_UNIX, sun_path="/run/infill/engine.sock"}, 40) = 0')


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(not _can_watch(), reason="needs strace, and the right to make a network namespace (Debian: strace, iproute2)")
def test_a_day_offline_tries_no_connection_to_another_machine(tmp_path: Path) -> None:
    log = tmp_path / "strace.log"
    environment = {
        name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY") and name not in {"HF_HUB_OFFLINE", "INFILL_OFFLINE"}
    }
    environment |= {"INFILL_HOME": str(tmp_path / "home"), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    program = [sys.executable, str(Path(__file__).with_name("offline_day.py")), str(tmp_path)]
    day = subprocess.run([*NAMESPACE, *WATCH, str(log), *program], capture_output=True, text=True, env=environment, timeout=600)
    assert day.returncode == 0, day.stdout + day.stderr
    assert day.stdout.count("did ") >= 12, day.stdout
    assert "answered by llamacpp:near" in day.stdout, "a server on this machine is still asked"
    assert "answered by local" in day.stdout, day.stdout
    assert strangers(log.read_text()) == []
    (tmp_path / "home" / "config" / "settings.toml").write_text('[providers.remote.far]\nkind = "openai"\nmodel = "m"\nfamily = "qwen"\n')
    online = [sys.executable, "-m", "infill", "providers", "test", "openai:far"]
    subprocess.run([*NAMESPACE, *WATCH, str(log), *online], capture_output=True, env=environment, timeout=120)
    assert strangers(log.read_text()), "with the switch off, the same watch sees the attempt"
