"""From measured speed to the window of code."""

from __future__ import annotations

from infill.engine.speed import SMALLEST_WINDOW, Speed


def measured(evaluate: float, generate: float = 30.0) -> Speed:
    speed = Speed()
    for _ in range(10):
        speed.evaluated(512, 512 / evaluate)
        speed.generated(20, 20 / generate)
    return speed


def test_an_unmeasured_machine_gets_the_smallest_window() -> None:
    assert Speed().window(8192, 400) == SMALLEST_WINDOW


def test_the_first_batch_after_loading_gives_a_window_that_later_batches_leave_alone() -> None:
    speed = Speed()
    speed.began(32, 32 / 250)
    window = speed.window(8192, 400)
    assert window > SMALLEST_WINDOW
    for _ in range(20):
        speed.evaluated(128, 128 / 280)
        assert speed.window(8192, 400) == window


def test_one_token_says_only_that_the_machine_is_slow() -> None:
    speed = Speed()
    speed.began(1, 0.2)
    assert speed.window(8192, 400) == SMALLEST_WINDOW


def test_a_slow_machine_gets_a_small_window_and_a_fast_one_a_large_one() -> None:
    windows = [measured(rate).window(16384, 400) for rate in (20, 200, 2000)]
    assert windows[0] == SMALLEST_WINDOW
    assert windows[0] < windows[1] < windows[2]


def test_a_higher_target_allows_a_larger_window() -> None:
    assert measured(500).window(16384, 800) > measured(500).window(16384, 400)


def test_no_window_is_larger_than_the_room() -> None:
    assert measured(50_000).window(700, 400) <= 700
    assert measured(50_000).window(300, 400) == 300


def test_a_window_stands_still_while_the_speed_wavers() -> None:
    speed = measured(500)
    window = speed.window(16384, 400)
    for rate in (450, 570, 400, 600):
        speed.evaluated(64, 64 / rate)
        assert speed.window(16384, 400) == window


def test_a_busy_minute_does_not_move_the_window() -> None:
    speed = measured(500)
    window = speed.window(16384, 400)
    for _ in range(5):
        speed.evaluated(256, 256 / 80)
    assert speed.window(16384, 400) == window


def test_a_few_batches_decide_nothing() -> None:
    speed = Speed()
    speed.began(32, 32 / 250)
    window = speed.window(8192, 400)
    speed.evaluated(64, 64 / 20)
    assert speed.window(8192, 400) == window


def test_small_batches_say_nothing_about_evaluation() -> None:
    speed = measured(200)
    speed.evaluated(2, 1.0)
    assert round(speed.evaluate) == 200


def test_prices_are_in_tokens_of_this_machine() -> None:
    costs = measured(200, 40).costs(400)
    assert round(costs.call, 1) == 4.0
    assert round(costs.inexact, 1) == 8.0
    assert measured(5000, 2000).costs(400).inexact > 100


def test_the_typical_answer_is_the_median() -> None:
    speed = Speed()
    assert speed.typical_ms == 0
    for milliseconds in (100, 5000, 120, 110, 130):
        speed.answered(milliseconds)
    assert speed.typical_ms == 120


def test_characters_per_token_are_told_where_they_are_unusual_and_stand_still_while_they_waver() -> None:
    speed = Speed()
    speed.read(10, 1)
    speed.read(3500, 1000)
    assert speed.chars_per_token == 0
    for _ in range(5):
        speed.read(6000, 1000)
    told = speed.chars_per_token
    assert told > 4
    speed.read(5000, 1000)
    assert speed.chars_per_token == told


def test_while_somebody_types_a_step_is_short_enough_to_be_finished() -> None:
    slow = measured(133)
    assert slow.chunk(512, restless=True) == 16
    assert slow.chunk(512, restless=False) == 128
    assert measured(5000).chunk(512, restless=True) == 496
    assert measured(5000).chunk(512, restless=False) == 512
