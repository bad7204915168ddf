"""Set-up for all tests: environment variables are restored after each test, so that no test depends on the order.

New models are checked only in tests that request it, not in processes that outlive the test. A shell without job control starts background
commands with Ctrl-C ignored; a process that a test starts would inherit that.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

OWN = "PYTEST_CURRENT_TEST"
os.environ["INFILL_CHECK"] = "off"
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != OWN}


@pytest.fixture(autouse=True)
def environment_is_left_alone() -> Iterator[None]:
    """Restore the environment after each test, and fail a test that changed it. `monkeypatch` and wider fixtures undo their changes themselves."""
    before = _variables()
    yield
    after = _variables()
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in changed:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]
    assert not changed, f"left changed in the environment: {', '.join(changed)}"
