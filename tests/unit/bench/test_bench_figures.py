"""Figures, targets and reports: computed from moments that are made up here."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest

from infill.bench import charts, metrics, report, table, targets
from infill.bench.machine import machine
from infill.bench.recorder import Moment
from infill.bench.speed import Speed
from infill.bench.targets import Row
from infill.bench.trace import Hole, Trace
from infill.bench.typing import Comparison, Run, Wishes
from infill.bench.typist import Costs


def key(at: float, text: str = "x") -> Moment:
    return Moment(at=at, what="key", text=text)


def shown(at: float, text: str = "suggestion", worth: int = 0) -> Moment:
    return Moment(at=at, what="shown", text=text, worth=worth)


def test_latency_counts_from_the_last_key() -> None:
    found = metrics.figures([key(1.0), key(1.2), shown(1.25), key(2.0)])
    assert found.latency.count == 1
    assert found.latency.p50 == pytest.approx(50)


def test_the_rest_of_what_was_shown_is_nothing_new() -> None:
    found = metrics.figures([key(1.0, "a"), shown(1.1, "bcd"), key(2.0, "b"), shown(2.001, "cd"), key(3.0, "x"), shown(3.3, "yz"), key(4.0)])
    assert found.latency.count == 2
    assert found.every_latency.count == 3


def test_a_pause_saw_a_suggestion_or_it_did_not() -> None:
    moments = [key(1.0), shown(1.1), key(2.0), key(2.2), key(3.0), shown(3.9), key(4.0), key(4.1)]
    found = metrics.figures(moments)
    assert (found.pauses, found.pauses_seen) == (3, 2)


def test_pauses_after_a_jump_do_not_count() -> None:
    found = metrics.figures([Moment(at=1.0, what="jump"), key(2.0), key(2.1)])
    assert found.pauses == 0


def test_an_acceptance_is_followed_at_once_or_not() -> None:
    accepted = Moment(at=1.0, what="accepted", text="ab", worth=2)
    later = Moment(at=5.0, what="accepted", text="ab")
    found = metrics.figures([accepted, shown(1.01), key(2.0), later, shown(5.5), key(6.0)])
    assert (found.accepts, found.accepts_followed, found.characters_saved) == (2, 1, 2)


def test_tokens_are_told_for_requests_that_the_model_worked_on() -> None:
    worked = Moment(at=1.0, what="cost", evaluated=10, kept=90, generated=5)
    known = Moment(at=2.0, what="cost", source="cache")
    found = metrics.figures([key(0.5), worked, known])
    assert found.evaluated.count == 1
    assert (found.evaluated.p50, found.kept.p50, found.from_cache) == (10, 90, 1)


def test_percentiles_lie_between_their_neighbours() -> None:
    assert metrics.percentile([1, 2, 3, 4], 0.5) == 2.5
    assert metrics.percentile([7], 0.95) == 7
    assert metrics.percentile([], 0.5) == 0


def test_no_moments_give_empty_figures_instead_of_an_error() -> None:
    found = metrics.figures([])
    assert {tally([found]).share for tally in (metrics.pauses_seen, metrics.accepts_followed, metrics.worth)} == {0}


def test_a_target_is_met_or_missed() -> None:
    rows = [Row(what="a", measured=4, unit="ms", target=5), Row(what="b", measured=4, target=5, at_least=True, note="half | done")]
    assert [row.met for row in rows] == [True, False]
    told = targets.markdown(rows)
    assert "| a | at most 5 ms | 4 ms | met |" in told
    assert "half \\| done" in told


def a_comparison() -> Comparison:
    runs = []
    for side, delay in (("infill", 0.05), ("llama-server", 1.4)):
        moments = tuple(moment for second in range(20) for moment in (key(2.0 * second), shown(2.0 * second + delay, f"s{second}", 1)))
        figures = metrics.figures(moments)
        runs.append(Run(side=side, model="<tiny>", number=1, figures=figures, costs=Costs(cpu_seconds=1, wall_seconds=2), moments=moments))
    return Comparison(model="<tiny>", runs=tuple(runs))


def runs_of(side: str, model: str, seen: list[tuple[int, int]]) -> list[Run]:
    """Runs with so many of so many pauses that saw a suggestion, and acceptances that were followed."""
    empty = metrics.figures([])
    made = [msgspec.structs.replace(empty, pauses_seen=part, pauses=whole, accepts_followed=part, accepts=whole) for part, whole in seen]
    return [Run(side=side, model=model, number=at, figures=one, costs=Costs(), moments=()) for at, one in enumerate(made, 1)]


def test_shares_are_of_all_runs_together_and_say_of_how_many() -> None:
    ours, theirs = [(36, 36), (30, 36), (31, 36)], [(5, 36), (0, 36), (0, 36)]
    comparisons = [
        Comparison(model=model, runs=(*runs_of("infill", model, ours), *runs_of("llama-server", model, theirs)))
        for model in ("0.5b", "1.5b", "bundled")
    ]
    pauses = next(row for row in table.typing_rows(comparisons) if row.what.startswith("pauses"))
    assert pauses.measured == pytest.approx(89.8)
    assert pauses.note == "97 of 108 pauses over 3 runs; llama-server: 5 of 108"
    accepts = table.accept_row(comparisons)
    assert accepts.measured == pytest.approx(89.8)
    assert accepts.note == "97 of 108 acceptances over 3 runs; 1.5b 97 of 108; bundled 97 of 108"
    shown = {name: cells for name, cells, _ in report.table(comparisons[0])}
    assert shown["Pauses of 400 ms or more that saw a suggestion"] == ["90 %", "5 %"]


def test_all_that_was_evaluated_is_compared_and_not_only_what_somebody_waited_for() -> None:
    told = a_comparison()
    costs = {"infill": 4863, "llama-server": 18205}
    counted = Comparison(model="m", runs=tuple(msgspec.structs.replace(run, costs=Costs(tokens_evaluated=costs[run.side])) for run in told.runs))
    (line,) = (line for line in report.lines(counted) if line.what == "All prompt tokens evaluated, for whomever")
    assert line.sides == costs
    assert line.ratio == 3.74


def test_what_the_peer_asked_ahead_is_nothing_that_somebody_waited_for() -> None:
    ahead = Moment(at=1.0, what="cost", source="ahead", evaluated=500)
    assert metrics.figures([key(0.5), ahead, Moment(at=2.0, what="cost", source="model", evaluated=10)]).evaluated.p95 == 10


def test_the_report_says_how_many_times_faster_it_was() -> None:
    rows = {name: (cells, ratio) for name, cells, ratio in report.table(a_comparison())}
    assert rows["New ghost text after the last key, median"] == (["50 ms", "1400 ms"], "28.0 x")


def test_the_report_is_one_file_that_needs_nothing_else() -> None:
    trace = Trace(name="a.py", text="", holes=(Hole(0, "x"),), edits=())
    page = report.page([a_comparison()], trace, machine(), Wishes(runs=1))
    assert "&lt;tiny&gt;" in page
    assert "<tiny>" not in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") == 2


def test_of_what_nobody_measured_there_is_no_column() -> None:
    tiny = Speed(name="<tiny>", provider="local", load_ms=218.4, first_token_ms=6.41, generate_per_second=1823.4, resident_bytes=2**20, threads=1)
    names, rows = report.speed_table([tiny, Speed(name="b", provider="ollama:home", generate_per_second=18.64, threads=2)])
    assert names == ["model", "load", "first token", "generation", "memory"]
    assert rows[0] == ["<tiny> (local, 1 thread)", "218 ms", "6.41 ms", "1,823 tokens/s", "1 MiB"]
    assert rows[1] == ["b (ollama:home, 2 threads)", "", "", "18.6 tokens/s", ""]
    page = report.speed_page([tiny], machine())
    assert "&lt;tiny&gt;" in page and "<tiny>" not in page
    assert page.count("<svg") == 4


def test_charts_are_well_formed_also_without_values() -> None:
    curve = charts.Curve("infill", "ours", [0.4, 30.0, 1200.0])
    empty = charts.Curve("llama-server", "theirs", [])
    lane = charts.Lane("infill", "ours", [0.1, 0.5], [(0.5, 1.5)], [(0.2, 0.4)])
    for drawn in (
        charts.distribution([curve, empty], "how soon & when"),
        charts.distribution([empty], "nothing"),
        charts.timeline([lane], 0, 2, "time"),
        charts.bars([charts.Bar("a", "ours", 3, "3")], "speed"),
    ):
        assert ET.fromstring(drawn).tag == "svg"
