"""From a cursor to a suggestion, with a scripted provider and a clock that only tests move."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from conftest_completion import QUIET, Make, Time, at, settle, texts

from infill.ask import Delta, Finish, Report, Timings
from infill.completion.types import Neighbour
from infill.errors import ProviderUnavailable
from infill.providers.base import Limits
from infill.providers.fake import Fake
from infill.settings import Completion, Engine, Settings

SLOW = Limits(typical_ms=300.0)


async def test_a_model_s_answer_becomes_a_suggestion(completer: Make) -> None:
    provider = Fake(["x", " + y"])
    outcome = await completer(provider, QUIET).complete(at("def add(x, y):\n    return █\n"))
    assert texts(outcome) == ["x + y"]
    assert (outcome.source, outcome.provider, outcome.reason) == ("model", "fake", "")


async def test_typing_what_was_suggested_asks_no_model(completer: Make) -> None:
    provider = Fake(["x + y"])
    one = completer(provider, QUIET)
    await one.complete(at("    return █\n"))
    for typed in ("x", "x ", "x +", "x + "):
        outcome = await one.complete(at(f"    return {typed}█\n"))
        assert texts(outcome) == ["x + y"[len(typed) :]]
        assert outcome.source == "cache"
    assert len(provider.asked) == 1


async def test_typing_something_else_asks_anew(completer: Make) -> None:
    provider = Fake(["x + y"])
    one = completer(provider, QUIET)
    await one.complete(at("    return █\n"))
    await one.complete(at("    return z█\n"))
    assert len(provider.asked) == 2


async def test_an_automatic_request_is_answered_with_its_first_line_and_the_rest_comes_from_the_cache(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(["a = 1\n", more, "b = 2\nc = 3"])
    one = completer(provider, QUIET)
    assert texts(await one.complete(at("█\nend()\n"))) == ["a = 1"]
    more.set()
    await settle()
    outcome = await one.complete(at("a█\nend()\n"))
    assert texts(outcome) == [" = 1\nb = 2\nc = 3"]
    assert len(provider.asked) == 1


async def test_a_running_answer_that_agrees_with_what_is_typed_is_kept(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(["self.", more, "total = 0\n"])
    one = completer(provider, QUIET)
    first = asyncio.ensure_future(one.complete(at("x\n█\n")))
    await settle()
    second = asyncio.ensure_future(one.complete(at("x\nse█\n")))
    await settle()
    assert (await first).reason == "superseded"
    more.set()
    outcome = await second
    assert texts(outcome) == ["lf.total = 0"]
    assert outcome.source == "running"
    assert len(provider.asked) == 1 and not provider.stopped


async def test_a_running_answer_that_disagrees_is_stopped(completer: Make) -> None:
    stall = asyncio.Event()
    provider = Fake(lambda prompt: ["self.", stall] if prompt.prefix.endswith("\n") else ["int(x)"])
    one = completer(provider, QUIET)
    first = asyncio.ensure_future(one.complete(at("x\n█\n")))
    await settle()
    outcome = await one.complete(at("x\npr█\n"))
    assert texts(outcome) == ["int(x)"]
    assert (await first).reason == "superseded"
    assert [prompt.prefix for prompt in provider.stopped] == ["x\n"]


async def test_equal_requests_share_one_question(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(["a", more, "bc"])
    one = completer(provider, QUIET)
    both = [asyncio.ensure_future(one.complete(at("x = █\n"))) for _ in range(2)]
    await settle()
    more.set()
    outcomes = await asyncio.gather(*both)
    assert [texts(outcome) for outcome in outcomes] == [["abc"], ["abc"]]
    assert [outcome.source for outcome in outcomes] == ["model", "running"]
    assert len(provider.asked) == 1


async def test_a_cancelled_request_stops_the_model(completer: Make, time: Time) -> None:
    provider = Fake(["a", asyncio.Event()])
    one = completer(provider, QUIET)
    task = asyncio.ensure_future(one.complete(at("x = █\n")))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not provider.stopped and one.explain()["reason"] == "cancelled"
    await time.pass_(0.011)
    assert len(provider.stopped) == 1


async def test_a_request_cancelled_because_of_the_next_key_does_not_lose_the_running_answer(completer: Make, time: Time) -> None:
    more = asyncio.Event()
    provider = Fake(["foo", more, "(bar)\n"])
    one = completer(provider, QUIET)
    task = asyncio.ensure_future(one.complete(at("x = █\n")))
    await settle()
    task.cancel()
    one.changed(at("x = f█\n"), typed=True)
    await time.pass_(0.1)
    second = asyncio.ensure_future(one.complete(at("x = f█\n")))
    await settle()
    more.set()
    assert texts(await second) == ["oo(bar)"]
    assert len(provider.asked) == 1


async def test_a_change_that_disagrees_stops_the_model_before_anybody_asks(completer: Make) -> None:
    provider = Fake(["foo", asyncio.Event()])
    one = completer(provider, QUIET)
    task = asyncio.ensure_future(one.complete(at("x = █\n")))
    await settle()
    one.changed(at("x = b█\n"), typed=True)
    await settle()
    assert len(provider.stopped) == 1
    assert (await task).reason in {"superseded", "the document changed"}


async def test_a_bracket_that_the_editor_closes_does_not_stop_the_model(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(["(a, ", more, "b)\n"])
    one = completer(provider, QUIET)
    task = asyncio.ensure_future(one.complete(at("x = f█\n")))
    await settle()
    one.changed(at("x = f()█\n"), typed=True)
    second = asyncio.ensure_future(one.complete(at("x = f(█)\n")))
    await settle()
    more.set()
    outcome = await second
    assert [(one.text, one.replaces) for one in outcome.suggestions] == [("a, b)", 1)]
    assert len(provider.asked) == 1
    await task


async def test_a_slow_model_is_asked_only_when_the_burst_of_keys_is_over(completer: Make, time: Time) -> None:
    provider = Fake(["abc"], limits=SLOW)
    one = completer(provider, QUIET)
    for typed in ("q", "qw", "qwe", "qwer", "qwert"):
        one.changed(at(f"x = {typed}█\n"), typed=True)
        task = asyncio.ensure_future(one.complete(at(f"x = {typed}█\n")))
        await time.pass_(0.030)
    assert not provider.asked
    await time.pass_(0.100)
    assert texts(await task) == ["abc"]
    assert len(provider.asked) == 1


async def test_a_question_is_not_asked_of_a_text_that_has_changed_meanwhile(completer: Make, time: Time) -> None:
    provider = Fake(["abc"], limits=SLOW)
    one = completer(provider, QUIET)
    one.changed(at("x = q█\n"), typed=True)
    task = asyncio.ensure_future(one.complete(at("x = q█\n")))
    await time.pass_(0.030)
    one.changed(at("x = qz█\n"), typed=True)  # and the editor neither cancels nor asks again
    await time.pass_(0.5)
    assert (await task).reason == "superseded"
    assert not provider.asked


async def test_a_fast_model_is_asked_at_every_key(completer: Make) -> None:
    provider = Fake(["abc"], limits=Limits(typical_ms=12.0))
    one = completer(provider, QUIET)
    for typed in ("q", "qw", "qwe"):
        one.changed(at(f"x = {typed}█\n"), typed=True)
        await one.complete(at(f"x = {typed}█\n"))
    assert len(provider.asked) == 3


async def test_asking_by_key_waits_for_nothing_and_brings_several_different_suggestions(completer: Make) -> None:
    provider = Fake([Delta("abc", 0), Delta("abd", 1), Delta("abc", 2), Finish(1, mean_logprob=-0.5)], limits=SLOW)
    outcome = await completer(provider, QUIET).complete(at("x = █\n", automatic=False))
    assert texts(outcome) == ["abc", "abd"]
    assert provider.asked[0].candidates == 3 and provider.asked[0].priority == "invoked"


async def test_the_selected_popup_item_is_extended_or_nothing_is_said(completer: Make) -> None:
    provider = Fake(lambda prompt: ["(x)"] if prompt.prefix.endswith("x.append") else [])
    one = completer(provider, QUIET)
    assert texts(await one.complete(at("x.ap█\n", selected="pend"))) == ["pend(x)"]
    outcome = await one.complete(at("x.ap█\n", selected="ply"))
    assert texts(outcome) == [] and outcome.reason == "the model had nothing to add"


async def test_what_follows_an_accepted_suggestion_is_there_already(completer: Make, time: Time) -> None:
    provider = Fake(lambda prompt: ["\n    b = 2"] if prompt.priority == "background" else ["    a = 1"])
    one = completer(provider, Settings(engine=Engine(warm=False)))
    await one.complete(at("def f():\n    █\n"))
    await time.pass_(0.3)
    one.accepted("file:///a.py", "a = 1")
    outcome = await one.complete(at("def f():\n    a = 1█\n"))
    assert texts(outcome) == ["\n    b = 2"]
    assert outcome.source == "prefetch"
    await time.pass_(0.3)
    assert [prompt.priority for prompt in provider.asked] == ["automatic", "background", "background"]


async def test_what_is_written_for_one_line_is_stopped_when_the_cursor_goes_to_another(completer: Make, time: Time) -> None:
    provider = Fake(["a = 1\n", asyncio.Event()])
    one = completer(provider, Settings(engine=Engine(prefetch=False)))
    assert texts(await one.complete(at("x\n█\ny\n"))) == ["a = 1"]
    one.moved(at("x█\n\ny\n"))
    await time.pass_(0.2)
    assert len(provider.stopped) == 1
    assert [prompt.prefix for prompt in provider.warmed] == ["x"]


async def test_what_is_written_goes_on_while_the_cursor_stays_on_its_line(completer: Make, time: Time) -> None:
    provider = Fake(["a = 1\n", asyncio.Event()])
    one = completer(provider, Settings(engine=Engine(prefetch=False)))
    await one.complete(at("x\na█\ny\n"))
    one.moved(at("x\n█a\ny\n"))
    await time.pass_(0.2)
    assert not provider.stopped and not provider.warmed


async def test_an_answer_that_somebody_waits_for_is_not_stopped_by_a_cursor_elsewhere(completer: Make, time: Time) -> None:
    more = asyncio.Event()
    provider = Fake([more, "a = 1\n"])
    one = completer(provider)
    asked = asyncio.ensure_future(one.complete(at("x\n█\ny\n")))
    await time.pass_(0.2)
    one.moved(at("x█\n\ny\n"))
    more.set()
    assert texts(await asked) == ["a = 1"]


async def test_a_provider_s_trouble_reaches_the_caller_and_is_not_remembered(completer: Make) -> None:
    provider = Fake([ProviderUnavailable("The engine is not there.")])
    one = completer(provider, QUIET)
    with pytest.raises(ProviderUnavailable):
        await one.complete(at("x = █\n"))
    provider.script = ["1", "2"]
    assert texts(await one.complete(at("x = █\n"))) == ["12"]


async def test_a_provider_that_never_answers_is_given_up(completer: Make, time: Time) -> None:
    provider = Fake([asyncio.Event()])
    one = completer(provider, msgspec.structs.replace(QUIET, completion=Completion(deadline_ms=1000)))
    task = asyncio.ensure_future(one.complete(at("x = █\n")))
    await time.pass_(1.6)
    outcome = await task
    assert texts(outcome) == [] and outcome.reason == "no answer in time"
    assert len(provider.stopped) == 1


async def test_switched_off_means_that_nobody_is_asked(completer: Make, time: Time) -> None:
    provider = Fake(["abc"])
    one = completer(provider, Settings(enabled=False))
    one.changed(at("x = █\n"), typed=False)
    outcome = await one.complete(at("x = █\n"))
    await time.pass_(1)
    assert outcome.reason == "infill is switched off"
    assert not provider.asked and not provider.warmed


async def test_another_provider_s_answers_are_not_served_from_the_cache(completer: Make) -> None:
    one = completer(Fake(["old"]), QUIET)
    await one.complete(at("x = █\n"))
    one.provider = Fake(["new"], name="other")
    outcome = await one.complete(at("x = █\n"))
    assert texts(outcome) == ["new"] and outcome.provider == "other"


async def test_a_closed_document_ends_its_work_and_tells_the_provider(completer: Make) -> None:
    provider = Fake(["a", asyncio.Event()])
    one = completer(provider, QUIET)
    task = asyncio.ensure_future(one.complete(at("x = █\n")))
    await settle()
    one.closed("file:///a.py")
    assert (await task).reason == "superseded"
    await settle()
    assert provider.forgotten == ["file:///a.py"] and len(provider.stopped) == 1


async def test_explain_tells_how_the_last_request_went(completer: Make) -> None:
    one = completer(Fake(["foo()\n", "foo()\n", "foo()\n", "foo()\n"]), QUIET)
    await one.complete(at("bar()\n█\n"))
    await settle()
    told = one.explain()
    assert told["source"] == "model" and told["cache"] == "miss" and told["suggestions"] == 1
    assert told["answer"]["ended"] == "run on"  # type: ignore[index]
    await one.complete(at("bar()\nf█\n"))
    assert one.explain()["cache"] == "hit"


async def test_two_documents_do_not_disturb_each_other(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(lambda prompt: ["one", more] if prompt.slot.endswith("1") else ["two"])
    one = completer(provider, QUIET)
    first = asyncio.ensure_future(one.complete(at("x = █\n", uri="file:///1")))
    await settle()
    assert texts(await one.complete(at("y = █\n", uri="file:///2"))) == ["two"]
    more.set()
    assert texts(await first) == ["one"]


async def test_a_suggestion_of_one_line_is_asked_for_where_the_line_goes_on(completer: Make) -> None:
    provider = Fake(["x"])
    one = completer(provider, QUIET)
    for text, single in (("f(a, █)\n", True), ("f('█')\n", True), ("x = █\n", False), ("x = {█}\n", False), ("f(█)\n", False)):
        await one.complete(at(text))
        assert provider.asked[-1].stop.single_line is single


async def test_one_line_only_is_a_setting(completer: Make) -> None:
    provider = Fake(["x"])
    await completer(provider, msgspec.structs.replace(QUIET, completion=Completion(multiline=False))).complete(at("x = █\n"))
    assert provider.asked[0].stop.single_line


async def test_the_block_s_indentation_and_the_limits_reach_the_provider(completer: Make) -> None:
    provider = Fake(["x"])
    settings = msgspec.structs.replace(QUIET, completion=Completion(max_tokens=7, temperature=0.5, seed=3))
    await completer(provider, settings).complete(at("def f():\n    if x:\n        y = █\n", remote_allowed=False))
    asked = provider.asked[0]
    assert (asked.stop.indent, asked.stop.max_tokens, asked.sampling.temperature, asked.sampling.seed) == (8, 7, 0.5, 3)
    assert not asked.remote_allowed and asked.yield_after_line


async def test_a_fixed_debounce_is_obeyed(completer: Make, time: Time) -> None:
    provider = Fake(["abc"])
    task = asyncio.ensure_future(completer(provider, msgspec.structs.replace(QUIET, completion=Completion(debounce_ms=250))).complete(at("x = █\n")))
    await time.pass_(0.249)
    assert not provider.asked
    await time.pass_(0.002)
    outcome = await task
    assert texts(outcome) == ["abc"] and outcome.timings.waited_ms == 250


async def test_new_settings_ask_anew(completer: Make) -> None:
    provider = Fake(["abc"])
    one = completer(provider, QUIET)
    await one.complete(at("x = █\n"))
    one.settings = msgspec.structs.replace(QUIET, completion=Completion(temperature=1.0))
    await one.complete(at("x = █\n"))
    assert len(provider.asked) == 2


async def test_another_model_of_the_same_provider_makes_old_answers_void(completer: Make) -> None:
    model = ["one"]
    provider = Fake(lambda prompt: ["abc", Finish(), Report(provider="fake", model=model[0])])
    one = completer(provider, QUIET)
    await one.complete(at("x = █\n"))
    model[0] = "two"
    await one.complete(at("y = █\n"))
    await settle()
    await one.complete(at("x = █\n"))
    assert len(provider.asked) == 3


async def test_pieces_of_other_files_go_with_the_question_where_there_is_room(completer: Make) -> None:
    neighbours = (Neighbour("b.py", "def helper(value):\n    return value\n", 1.0),)
    document = "helper(1)\n" * 40 + "█\n"
    provider = Fake(["x"], limits=Limits(snippet_tokens=100, typical_ms=1))
    await completer(provider, QUIET).complete(at(document, neighbours=neighbours))
    assert [snippet.path for snippet in provider.asked[0].snippets] == ["b.py"]
    provider = Fake(["x"], limits=Limits(snippet_tokens=0, typical_ms=1))
    await completer(provider, QUIET).complete(at(document, neighbours=neighbours))
    assert provider.asked[0].snippets == ()


@pytest.mark.parametrize("junk", ["\x00\x01\x02", "\ufffd" * 50, "\n" * 100, "```\nSure! Here is the code", "<|fim_middle|>", " " * 500])
async def test_garbage_from_a_model_is_nothing_rather_than_something_poor(completer: Make, junk: str) -> None:
    outcome = await completer(Fake([junk]), QUIET).complete(at("x = █\n"))
    assert texts(outcome) == [] and outcome.reason


async def test_nothing_is_left_running_after_the_end(completer: Make) -> None:
    provider = Fake(["a", asyncio.Event()])
    one = completer(provider)
    task = asyncio.ensure_future(one.complete(at("x = █\n")))
    one.changed(at("x = █\n"), typed=False)
    await settle()
    before = asyncio.all_tasks()
    await one.aclose()
    await task
    assert len(before) > 1 and asyncio.all_tasks() == {asyncio.current_task()}
    assert len(provider.stopped) == 1


async def test_explain_has_every_station_of_the_way_and_none_of_the_code(completer: Make) -> None:
    one = completer(
        Fake(["secret_name + 1", Finish(), Report(provider="fake", model="m", timings=Timings(tokens_kept=7, tokens_evaluated=3))]), QUIET
    )
    assert one.explain()["reason"] == "nothing was asked yet"
    await one.complete(at("secret_name = █\n"))
    await settle()
    told = one.explain()
    assert (told["trigger"], told["cache"], told["filter"], told["provider"], told["model"]) == ("automatic", "miss", [], "fake", "m")
    assert told["answer"]["tokensKept"] == 7 and told["answer"]["tokensEvaluated"] == 3  # type: ignore[index]
    assert "secret_name" not in msgspec.json.encode(told).decode()
    await one.complete(at("mid█dle\n"))
    assert one.explain()["trigger"] == "in the middle of a word" and one.explain()["cache"] == "not looked at"
