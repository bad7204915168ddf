"""What exit codes and last lines say, on every system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.engine import advice, exits
from infill.errors import ComputationCrashed, EngineCrashed

FRAME = '  File "/home/me/infill/engine/llama.py", line 12 in _run'


@pytest.mark.parametrize(
    ("code", "signal"),
    [
        (-4, "SIGILL"), (132, "SIGILL"), (0xC000001D, "SIGILL"), (0xC000001D - (1 << 32), "SIGILL"), (-11, "SIGSEGV"), (0xC0000005, "SIGSEGV"),
        (-6, "SIGABRT"), (0xC0000409, "SIGABRT"), (-7, "SIGBUS"), (-8, "SIGFPE"), (0xC0000094, "SIGFPE"), (-9, ""), (-15, ""), (0, ""), (1, ""),
        (73, ""), (None, ""),
    ],
)  # fmt: skip
def test_an_exit_code_names_the_signal_of_a_computation(code, signal):
    assert exits.signal_of(code) == signal


@given(st.integers())
def test_any_exit_code_has_a_meaning_or_none(code):
    assert exits.signal_of(code) in {"", *exits.SIGNALS.values()}


@pytest.mark.parametrize(
    ("line", "signal"),
    [
        ("Fatal Python error: Illegal instruction", "SIGILL"),
        ("Windows fatal exception: access violation", "SIGSEGV"),
        ("Windows fatal exception: code 0xc000001d", "SIGILL"),
        ("Fatal Python error: Aborted", "SIGABRT"),
        ("something else", ""),
    ],
)
def test_last_lines_name_the_signal(line, signal):
    assert exits.signal_said(["before", line, "", FRAME]) == signal


def test_only_a_crash_in_llama_cpp_is_one_of_a_computation():
    assert isinstance(advice.crashed(["Fatal Python error: Illegal instruction", FRAME]), ComputationCrashed)
    assert isinstance(advice.crashed([FRAME.replace("/", "\\")], 0xC000001D), ComputationCrashed)
    assert not isinstance(
        advice.crashed(["Fatal Python error: Illegal instruction", '  File "/x/asyncio/base.py", line 1 in run']), ComputationCrashed
    )
    assert not isinstance(advice.crashed(["ggml: failed to allocate", "Fatal Python error: Aborted", FRAME]), ComputationCrashed)


def test_another_processor_is_blamed_only_where_it_lacks_what_the_build_uses():
    assert "AVX512" in advice.crashed([], -4, ["AVX512"]).message
    assert "another processor" not in advice.crashed([], -4, []).message
    assert "another processor" not in advice.crashed([], -11, ["AVX512"]).message
    assert isinstance(advice.unusable("SIGILL", ["AVX2"]), EngineCrashed)
    assert "AVX2" in advice.unusable("SIGILL", ["AVX2"]).message
    assert "when it starts (SIGILL)" in advice.unusable("SIGILL", started=False).message
    assert "instruction" not in advice.unusable("SIGSEGV", started=False).message
    assert "plainest configuration (SIGILL)" in advice.unusable("SIGILL").message
