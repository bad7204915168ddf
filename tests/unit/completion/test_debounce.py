"""How long to wait after a key: by the typing rhythm and the model's speed."""

from __future__ import annotations

import pytest

from infill.completion.debounce import LONGEST_MS, TYPICAL_INTERVAL_MS, Rhythm, wait_ms


@pytest.mark.parametrize(
    ("interval", "latency", "expected"),
    [
        (120, 5, 0),  # faster than the eye
        (40, 29, 0),  # the same for somebody who types very fast
        (150, 100, 0),  # there before the next key
        (120, 150, 125),  # half of what is left until the target
        (100, 200, 100),
        (60, 100, 75),  # the burst is over after one and a quarter intervals
        (120, 380, 47.5),  # hardly any time left: ask soon
        (120, 1600, 150),  # hopelessly late anyway: only when the burst is over
        (400, 4000, LONGEST_MS),
        (120, 0, 60),  # nothing is known of the model yet
    ],
)
def test_waiting_follows_rhythm_and_speed(interval: float, latency: float, expected: float) -> None:
    assert wait_ms(interval=interval, latency=latency, target=400) == expected


def test_somebody_else_s_server_is_asked_less_often() -> None:
    assert wait_ms(interval=120, latency=100, target=400, remote=True) > wait_ms(interval=120, latency=100, target=400)


def test_time_since_the_key_counts_as_waited() -> None:
    assert wait_ms(interval=120, latency=150, target=400, since_key=50) == 75
    assert wait_ms(interval=120, latency=150, target=400, since_key=500) == 0


def test_a_typist_s_rhythm_is_the_median_of_the_burst_without_the_pauses() -> None:
    rhythm = Rhythm()
    now = 0.0
    for gap in (0.1, 0.1, 0.2, 5.0, 0.1, 0.1, 30.0, 0.1):
        now += gap
        rhythm.key(now)
    assert rhythm.interval_ms() == pytest.approx(100)
    assert rhythm.since_key_ms(now + 0.04) == pytest.approx(40)


def test_an_unknown_typist_is_an_ordinary_one() -> None:
    rhythm = Rhythm()
    assert rhythm.interval_ms() == TYPICAL_INTERVAL_MS
    assert rhythm.since_key_ms(5) == 0
