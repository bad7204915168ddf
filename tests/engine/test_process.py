"""The engine as a real process with the bundled model: shared, killed, stopped, idle, started by many clients at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from questions import BUNDLED, answer, prompt

from infill import paths
from infill.ask import Stop
from infill.engine import client as engine_client
from infill.engine import launch, transport
from infill.engine.protocol import Changed
from infill.errors import EngineCrashed, ProviderUnavailable
from infill.providers import local as local_provider
from infill.providers.local import LocalProvider
from infill.settings import Engine, Settings

LONG = prompt(stop=Stop(max_tokens=600, deadline_ms=60_000, ignore_end=True))


async def pid_of(local: LocalProvider) -> int:
    status = await local.status()
    assert status is not None
    return status.pid


async def until(condition, seconds: float = 10.0) -> None:
    """Bounded wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


async def first_text(stream) -> None:
    await anext(stream)


# ---- normal operation


async def test_the_first_completion_starts_the_engine_and_is_answered(provider):
    text, finish, report = await answer(provider)
    assert text
    assert finish.why in {"end", "length"}
    assert (report.provider, report.model) == ("local", BUNDLED)
    assert report.timings.total_ms >= report.timings.waited_ms > 0
    assert provider.limits.prefix_tokens > 100
    assert provider.limits.typical_ms > 0


async def test_two_editors_share_one_engine(provider, home):
    other = LocalProvider(Settings(), lambda: BUNDLED, client="other")
    answers = await asyncio.gather(answer(provider), answer(other, prompt(slot="other.py")))
    assert answers[0][0] == answers[1][0]
    assert await pid_of(provider) == await pid_of(other)
    status = await provider.status()
    assert len(status.clients) == 2
    assert [model.model for model in status.models] == [BUNDLED]
    assert {slot.slot for slot in status.models[0].slots} >= {"main.py", "other.py"}
    await other.aclose()


async def test_ten_editors_at_once_start_one_engine(home):
    program = (
        "import asyncio\nfrom infill.engine import launch\n"
        "async def main():\n    client = await launch.connect_or_start('test')\n    print(client.pid)\n    await client.aclose()\nasyncio.run(main())"
    )
    starters = [await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE) for _ in range(10)]
    outputs = await asyncio.gather(*(starter.communicate() for starter in starters))
    assert all(starter.returncode == 0 for starter in starters)
    pids = {int(out) for out, _ in outputs}
    assert len(pids) == 1
    engines = [process for process in psutil.process_iter(["cmdline", "environ"]) if is_engine_of(process, home)]
    assert {engine.pid for engine in engines} == pids


def is_engine_of(process: psutil.Process, home: Path) -> bool:
    return "infill.engine" in (process.info["cmdline"] or []) and (process.info["environ"] or {}).get("INFILL_HOME") == str(home)


async def test_the_engine_outlives_whoever_started_it(home):
    program = "import asyncio\nfrom infill.engine import launch\nprint(asyncio.run(launch.connect_or_start('test')).pid)"
    starter = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", "-c", program, stdout=subprocess.PIPE)
    out, _ = await starter.communicate()
    assert psutil.pid_exists(int(out))
    assert os.getsid(int(out)) == int(out), "it is a session of its own: closing the editor's terminal does not reach it"
    assert launch.running().pid == int(out)


async def test_nothing_is_printed_to_standard_output(home):
    engine = await asyncio.create_subprocess_exec(sys.executable, "-m", "infill.engine", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/")
    await until(lambda: launch.running() is not None and transport.place().socket.exists())
    local = LocalProvider(Settings(), lambda: BUNDLED)
    await answer(local)
    assert await pid_of(local) == engine.pid
    await local.shutdown()
    await local.aclose()
    assert (await engine.communicate())[0] == b""
    assert engine.returncode == 0


# ---- crashes


async def test_killed_between_two_requests_the_next_one_works(provider):
    await answer(provider)
    first = await pid_of(provider)
    os.kill(first, signal.SIGKILL)
    text, _, _ = await answer(provider)
    assert text
    assert await pid_of(provider) != first


async def test_killed_during_a_request_it_ends_within_a_second_and_the_next_one_works(provider):
    await answer(provider)
    stream = provider.complete(LONG)
    await first_text(stream)
    killed = time.monotonic()
    os.kill(await pid_of(provider), signal.SIGKILL)
    with pytest.raises(EngineCrashed) as trouble:
        async for _ in stream:
            pass
    assert time.monotonic() - killed < 1
    assert "started again" in trouble.value.hint
    assert (await answer(provider))[0]


async def test_all_who_wait_are_told_when_the_engine_dies(provider, monkeypatch):
    monkeypatch.setattr(local_provider, "UNHEARD", 0.0)
    await answer(provider)
    streams = [provider.complete(prompt(slot=f"{n}.py", stop=LONG.stop)) for n in range(4)]
    await first_text(streams[0])
    waiting = [asyncio.ensure_future(drain(stream)) for stream in streams]
    await asyncio.sleep(0)
    status = asyncio.ensure_future(pid_of(provider))
    os.kill(await status, signal.SIGKILL)
    ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 1)
    assert all(isinstance(end, EngineCrashed) for end in ends)


async def drain(stream) -> None:
    async for _ in stream:
        pass


async def test_an_editor_that_waits_for_nothing_is_told_of_a_crash_too(home):
    told: list[Changed] = []
    local = LocalProvider(Settings(), lambda: BUNDLED, told.append)
    await answer(local)
    os.kill(await pid_of(local), signal.SIGKILL)
    await until(lambda: told and told[-1].state == "problem")
    assert "ended without a word" in told[-1].message
    assert (await answer(local))[0]
    await local.aclose()


async def test_after_crash_upon_crash_the_engine_is_given_time(provider):
    for _ in range(4):
        await answer(provider)
        os.kill(await pid_of(provider), signal.SIGKILL)
        await until(lambda: provider._client.ended is not None)
    with pytest.raises(ProviderUnavailable, match="crashed 4 times; it is started again in"):
        await answer(provider)


async def test_an_engine_that_does_not_answer_any_more_is_replaced(provider, monkeypatch):
    monkeypatch.setattr(engine_client, "SILENCE", 0.2)
    monkeypatch.setattr(engine_client, "HUNG", 0.3)
    await answer(provider)
    hung = await pid_of(provider)
    os.kill(hung, signal.SIGSTOP)
    with pytest.raises(EngineCrashed, match="stopped responding"):
        await answer(provider)
    await until(lambda: not psutil.pid_exists(hung) or psutil.Process(hung).status() == psutil.STATUS_ZOMBIE)
    assert (await answer(provider))[0]


async def test_whoever_types_is_not_kept_waiting_by_an_engine_that_stands_still(provider):
    await answer(provider)
    pid = await pid_of(provider)
    os.kill(pid, signal.SIGSTOP)
    asked = time.monotonic()
    with pytest.raises(ProviderUnavailable, match="does not answer at the moment"):
        await answer(provider)
    assert time.monotonic() - asked < engine_client.HUNG / 2
    os.kill(pid, signal.SIGCONT)
    assert (await answer(provider))[0]
    assert await pid_of(provider) == pid


async def test_a_hung_engine_is_replaced_by_whoever_connects_next(provider, monkeypatch):
    monkeypatch.setattr(engine_client, "HANDSHAKE", 0.5)
    await answer(provider)
    hung = await pid_of(provider)
    os.kill(hung, signal.SIGSTOP)
    other = LocalProvider(Settings(), lambda: BUNDLED)
    assert (await answer(other))[0]
    assert await pid_of(other) != hung
    await other.aclose()


@pytest.mark.parametrize("asking", ["completions", "status"])
async def test_a_hung_engine_is_ended_also_while_every_request_is_replaced_before_it_greets(provider, monkeypatch, asking):
    monkeypatch.setattr(engine_client, "HANDSHAKE", 1.0)
    await answer(provider)
    hung = await pid_of(provider)
    os.kill(hung, signal.SIGSTOP)
    other = LocalProvider(Settings(), lambda: BUNDLED)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(hung) and psutil.Process(hung).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the engine was never ended"
        with contextlib.suppress(asyncio.TimeoutError, ProviderUnavailable):
            await asyncio.wait_for(answer(other) if asking == "completions" else other.status(), 0.1)
    assert (await answer(other))[0]
    assert await pid_of(other) != hung
    await other.aclose()


async def test_leaving_ends_an_attempt_to_connect_that_was_left_by_its_caller(provider):
    await answer(provider)
    os.kill(await pid_of(provider), signal.SIGSTOP)
    other = LocalProvider(Settings(), lambda: BUNDLED)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(answer(other), 0.1)
    assert any(not attempt.done() for attempt in other._attempts.values())
    await other.aclose()
    assert all(attempt.done() for attempt in other._attempts.values())


async def test_what_the_dead_left_behind_is_in_nobodys_way(provider, home):
    await answer(provider)
    os.kill(await pid_of(provider), signal.SIGKILL)
    await until(lambda: launch.running() is None)
    assert transport.place().socket.exists(), "kill -9 leaves the socket's file"
    assert (await answer(provider))[0]


# ---- orderly exit


async def test_left_alone_the_engine_unloads_and_goes_and_the_next_request_brings_it_back(home):
    told: list[Changed] = []
    local = LocalProvider(Settings(engine=Engine(idle_minutes=0.005)), lambda: BUNDLED, told.append)
    await answer(local)
    first = await pid_of(local)
    await until(lambda: launch.running() is None)
    await until(lambda: told[-1].state == "idle" and "no request arrived" in told[-1].message)
    assert not any(change.state == "problem" for change in told)
    assert not transport.place().socket.exists()
    assert not transport.place().status.exists()
    assert (await answer(local))[0]
    assert await pid_of(local) != first
    await local.aclose()


async def test_an_engine_that_comes_back_finds_the_documents_of_the_one_that_left_evaluated(home):
    text = "".join(f"def value_{i}(number):\n    return number + {i}\n\n" for i in range(20))
    local = LocalProvider(Settings(engine=Engine(idle_minutes=0.005, save_slots=True)), lambda: BUNDLED)
    first = await answer(local, prompt(text))
    await until(lambda: launch.running() is None)
    assert len(list(paths.state_directory().glob("slots/*/*.slot"))) == 1
    again = await answer(local, prompt(text))
    await local.aclose()
    assert again[0] == first[0]
    assert first[2].timings.tokens_evaluated > 200
    assert again[2].timings.tokens_evaluated == 1


async def test_told_to_stop_the_engine_ends_and_a_request_under_way_has_an_end(provider):
    await answer(provider)
    stream = provider.complete(LONG)
    await first_text(stream)
    assert await provider.shutdown()
    ends = [event async for event in stream]
    assert "unloaded" in ends[-1].notes[0]
    await until(lambda: launch.running() is None)
    assert not await provider.shutdown()


async def test_a_signal_ends_the_engine_as_cleanly(provider):
    await answer(provider)
    os.kill(await pid_of(provider), signal.SIGTERM)
    await until(lambda: launch.running() is None)
    assert not transport.place().socket.exists()
    assert (await answer(provider))[0]


async def test_status_without_an_engine_starts_none(provider):
    assert await provider.status() is None
    assert launch.running() is None
    await provider.warm(prompt())
    await provider.forget("main.py")
    await provider.unload()
    assert launch.running() is None


async def test_loading_and_unloading_over_and_over_keeps_no_memory(provider):
    sizes = []
    for _ in range(8):
        await answer(provider)
        await provider.unload()
        status = await provider.status()
        assert status.models == ()
        sizes.append(status.resident_bytes)
    assert sizes[-1] <= sizes[1] * 1.05


# ---- stopping


async def test_a_cancelled_request_stops_the_model_at_once(provider):
    await answer(provider)
    stream = provider.complete(LONG)
    await first_text(stream)
    await stream.aclose()
    await until_idle(provider, 1.0)
    status = await provider.status()
    assert status.state == "ready"
    assert (await answer(provider))[0]


async def until_idle(local: LocalProvider, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (await local.status()).waiting:
        assert time.monotonic() < deadline


async def test_a_newer_request_of_the_same_document_ends_the_older(provider):
    await answer(provider)
    stream = provider.complete(LONG)
    await first_text(stream)
    newer = asyncio.ensure_future(answer(provider))
    events = [event async for event in stream]
    assert events[-1].notes == ("superseded by a newer request",)
    assert (await newer)[0]


async def test_an_editor_that_closes_takes_its_work_along(provider):
    other = LocalProvider(Settings(), lambda: BUNDLED)
    stream = other.complete(LONG)
    await first_text(stream)
    await other.aclose()
    await answer(provider)
    await until_idle(provider, 1.0)
    assert len((await provider.status()).clients) == 1
    with pytest.raises(ProviderUnavailable):
        async for _ in stream:  # text received before the connection closed is still delivered
            pass
    await stream.aclose()


# ---- directories


async def test_its_directory_is_the_users_alone(provider):
    await answer(provider)
    where = transport.place()
    assert stat.S_IMODE(where.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(where.status.stat().st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
async def test_a_directory_of_somebody_else_is_not_used(provider, home):
    (home / "runtime").mkdir(mode=0o777)
    os.chown(home / "runtime", 12345, 12345)
    with pytest.raises(ProviderUnavailable, match="belongs to another user"):
        await answer(provider)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a link away")
async def test_a_link_of_somebody_else_is_not_followed(provider, home):
    (home / "mine").mkdir()
    (home / "runtime").symlink_to(home / "mine")
    os.chown(home / "runtime", 12345, 12345, follow_symlinks=False)
    with pytest.raises(ProviderUnavailable, match="belongs to another user"):
        await answer(provider)


async def test_a_place_that_cannot_be_written_is_said_in_a_sentence(provider, home):
    (home / "runtime").write_text("in the way")
    with pytest.raises(ProviderUnavailable, match="cannot be created") as trouble:
        await answer(provider)
    assert "INFILL_HOME" in trouble.value.hint


async def test_a_full_disk_is_said_in_a_sentence(provider, monkeypatch):
    def full(self: transport.Lock) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transport.Lock, "acquire", full)
    with pytest.raises(ProviderUnavailable, match="No space left on device"):
        await answer(provider)


async def test_an_engine_that_cannot_start_says_why(provider, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(EngineCrashed, match=r"llama\.cpp is not installed|without a word"):
        await answer(provider)


async def test_over_tcp_as_on_windows_everything_works_the_same(home, monkeypatch):
    monkeypatch.setenv("INFILL_TRANSPORT", "tcp")
    local = LocalProvider(Settings(), lambda: BUNDLED)
    assert (await answer(local))[0]
    where = transport.place()
    assert where.kind == "tcp"
    assert not where.socket.exists()
    assert stat.S_IMODE(where.status.stat().st_mode) == 0o600
    os.kill(await pid_of(local), signal.SIGKILL)
    assert (await answer(local))[0]
    await local.shutdown()
    await local.aclose()
