"""After any fault on either side of the engine's connection, each request gets one answer, in time, and other requests continue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import threading
from collections.abc import AsyncIterator

import msgspec
import pytest
from scripted import A, B, World, answer, ask, serving

from infill.engine import client as engine_client
from infill.engine import residents as engine_residents
from infill.engine import server as engine_server
from infill.engine import transport
from infill.engine.client import EngineClient
from infill.engine.launch import Engine as EngineProcess
from infill.engine.protocol import LONGEST_NAME, Done, Generate, Hello, Status, Warm, Welcome
from infill.errors import DoesNotFit, EngineCrashed, InfillError, ProviderError, ProviderUnavailable, RequestError
from infill.models.fit import Plan
from infill.providers.local import LocalProvider, _slot
from infill.settings import Engine, Settings

FOREIGN = [
    RecursionError(),
    ZeroDivisionError(),
    TypeError("x"),
    KeyError("x"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    MemoryError(),
    AssertionError(),
    StopIteration(),
]


@pytest.fixture
async def world(home) -> AsyncIterator[World]:
    async with serving() as (made, _):
        yield made


def failing(exc: Exception):
    def fail(*_: object) -> None:
        raise exc

    return fail


def break_part(world: World, part: str, exc: Exception) -> None:
    """Make one part of loading raise for model A; other models use the real part."""
    how = world.server._residents._how
    real = getattr(how, part)

    def broken(*values: object) -> object:
        if getattr(values[0], "id", values[0]) == A:
            raise exc
        return real(*values)

    world.server._residents._how = msgspec.structs.replace(how, **{part: broken})


@pytest.mark.parametrize(
    ("part", "exc"),
    [
        pytest.param(part, exc, id=f"{part}-{type(exc).__name__}")
        for part in ("locate", "plan", "load", "fits_beside", "step_down")
        for exc in FOREIGN
        if (part, type(exc)) != ("fits_beside", MemoryError)  # a MemoryError there unloads the other model
    ],
)
async def test_a_foreign_exception_while_a_model_is_loaded_is_the_answer_to_all_who_ask_for_it(world, part, exc):
    break_part(world, part, exc)
    if part == "step_down":
        world.largest_context = 1
    client = await world.client()
    if part == "fits_beside":
        await answer(client, ask(model=B))
    with pytest.raises(InfillError) as load:
        await asyncio.wait_for(client.load(A), 20)
    ends = await asyncio.wait_for(asyncio.gather(*(answer(client, ask(str(n))) for n in range(3)), return_exceptions=True), 20)
    generate = Generate(id=0, model=A, slot="g", messages=())
    (end,) = await asyncio.wait_for(asyncio.gather(answer(client, generate), return_exceptions=True), 20)
    assert all(isinstance(each, InfillError) for each in [*ends, end]), [*ends, end]
    assert type(exc).__name__ in str(load.value) or isinstance(load.value, DoesNotFit) or isinstance(exc, StopIteration)
    world.largest_context = 8192
    assert (await answer(client, ask(model=B)))[0]


async def test_what_made_room_comes_back_when_the_chosen_model_fails_unexpectedly(world):
    world.room = 1
    client = await world.client()
    await answer(client, ask(model=B))
    break_part(world, "load", RecursionError())
    with pytest.raises(ProviderError, match="RecursionError"):
        await client.load(A)
    await world.until(lambda: world.server._residents.find(B) is not None)
    assert (await answer(client, ask(model=B)))[0]


async def test_a_model_that_cannot_be_unloaded_cleanly_is_an_answer(world, monkeypatch):
    client = await world.client()
    await answer(client, ask())
    monkeypatch.setattr(world.loaded[0], "close", failing(ZeroDivisionError()))
    with pytest.raises(ProviderError, match="ZeroDivisionError"):
        await asyncio.wait_for(client.unload(A), 20)
    assert (await client.status()).models == ()
    assert (await answer(client, ask()))[0], "it is loaded anew"


async def test_a_model_whose_slots_cannot_be_saved_gives_its_memory_back_all_the_same(world, monkeypatch):
    client = await world.client()
    client.configure(Engine(save_slots=True))
    await answer(client, ask())
    monkeypatch.setattr(world.loaded[0], "save_slots", failing(ZeroDivisionError()))
    with pytest.raises(ProviderError):
        await asyncio.wait_for(client.unload(A), 20)
    assert world.loaded[0].closed


async def test_a_status_that_a_model_cannot_tell_is_answered_without_it(world, monkeypatch):
    client = await world.client()
    await answer(client, ask())
    monkeypatch.setattr(world.loaded[0], "status", failing(RecursionError()))
    status = await asyncio.wait_for(client.status(), 20)
    assert [model.model for model in status.models] == [A]
    monkeypatch.setattr(world.server._reporter, "status", failing(KeyError("x")))
    with pytest.raises(ProviderError, match="KeyError"):
        await asyncio.wait_for(client.status(), 20)


async def test_a_message_that_cannot_be_handled_is_the_only_one_that_fails(world, monkeypatch):
    client = await world.client()
    with monkeypatch.context() as patch:
        patch.setattr(world.server._worker, "submit", failing(RuntimeError("x")))
        with pytest.raises(ProviderError, match="RuntimeError"):
            await asyncio.wait_for(answer(client, ask()), 20)
    assert client.ended is None
    assert (await answer(client, ask()))[0]
    assert world.jobs() == []


@pytest.mark.parametrize("where", ["limits", "idle_work"])
async def test_what_fails_between_two_steps_of_a_model_ends_no_thread(world, monkeypatch, where):
    client = await world.client()
    await answer(client, ask())
    monkeypatch.setattr(world.loaded[0], where, failing(ZeroDivisionError()))
    if where == "limits":
        with pytest.raises(ProviderError, match="ZeroDivisionError"):
            await asyncio.wait_for(answer(client, ask()), 20)
        monkeypatch.undo()
    assert (await asyncio.wait_for(answer(client, ask()), 20))[0]


async def test_when_the_thread_that_computes_fails_the_process_ends_and_does_not_fall_silent(world, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    client = await world.client()
    await answer(client, ask())
    monkeypatch.setattr(world.server._worker._queue, "take", failing(RuntimeError("x")))
    asking = asyncio.ensure_future(answer(client, ask()))
    await asyncio.wait_for(world.hung.wait(), 20)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking


async def test_an_answer_that_cannot_be_encoded_is_an_answer_all_the_same(world):
    client = await world.client()
    world.trouble["path.py"] = InfillError("The file a\udcff.gguf is gone.")
    with pytest.raises(InfillError, match=r"The file a\?\.gguf is gone"):
        await asyncio.wait_for(answer(client, ask("path.py")), 20)
    one = next(iter(world.server._clients.values()))
    one.send(Done(id=7, notes=("\udcff",)))
    assert (await client.status()).pid, "the connection goes on"


async def test_a_search_for_a_model_that_hangs_is_given_up_and_others_are_loaded(world, monkeypatch):
    monkeypatch.setattr(engine_residents, "LOOKING", 0.05)
    monkeypatch.setattr(engine_residents.Residents._part, "__defaults__", (0.05,))
    never = threading.Event()
    real = world.server._residents._how.locate

    def locate(model: str):
        if model == A:
            never.wait(60)
        return real(model)

    world.server._residents._how = msgspec.structs.replace(world.server._residents._how, locate=locate)
    client = await world.client()
    try:
        with pytest.raises(ProviderUnavailable, match="could not be loaded within"):
            await asyncio.wait_for(client.load(A), 20)
        monkeypatch.undo()
        assert (await answer(client, ask(model=B)))[0]
    finally:
        never.set()


async def test_a_model_that_is_loaded_after_its_time_is_closed_again(world, monkeypatch):
    monkeypatch.setattr(engine_residents, "LOADING", 0.05)
    world.loading[A] = threading.Event()
    real = world.load

    def load(file, plan: Plan, progress):
        world.loading[A].wait(60)
        return real(file, plan, progress)

    world.server._residents._how = msgspec.structs.replace(world.server._residents._how, load=load)
    client = await world.client()
    with pytest.raises(ProviderUnavailable, match="could not be loaded within"):
        await asyncio.wait_for(client.load(A), 20)
    world.loading[A].set()
    await world.until(lambda: bool(world.loaded) and world.loaded[0].closed)
    assert world.server._residents.all() == []


# ---- limits on one client's requests


@pytest.mark.parametrize("kind", ["status", "load", "unload"])
async def test_errands_count_among_the_requests_of_a_client(world, monkeypatch, kind):
    monkeypatch.setattr(engine_server, "PENDING", 3)
    world.loading[A] = world.gate("never")
    client, other = await world.client(), await world.client()
    gate = world.gate("slow.py")
    slow = asyncio.ensure_future(answer(other, ask("slow.py", model=B)))
    await world.logged("step slow.py")
    ends = await asyncio.gather(
        *({"status": client.status, "load": lambda: client.load(A), "unload": client.unload}[kind]() for _ in range(5)), return_exceptions=True
    )
    assert any("too many requests" in str(end) for end in ends)
    gate.set()
    if kind != "unload":
        assert (await slow)[0], "others are served"
    slow.cancel()


async def test_errands_one_after_another_are_not_too_many(world, monkeypatch):
    monkeypatch.setattr(engine_server, "PENDING", 2)
    client = await world.client()
    for _ in range(5):
        assert (await client.status()).pid
        await client.load(A)
    assert client.ended is None


@pytest.mark.parametrize("message", [{"type": "load", "id": 1, "model": "m" * 5000}, {"type": "forget", "slot": "s" * 5000}])
async def test_a_name_without_end_ends_its_connection(world, message):
    reader, writer = await asyncio.open_unix_connection(str(transport.place().socket))
    for each in (msgspec.to_builtins(Hello(version=transport.protocol.VERSION, client="raw")) | {"type": "hello"}, message):
        payload = msgspec.msgpack.encode(each)
        writer.write(struct.pack(">I", len(payload)) + payload)
    data = await asyncio.wait_for(reader.read(-1), 5)
    writer.close()
    assert b"RequestError" in data


async def test_names_that_never_end_take_no_memory_without_end(world, monkeypatch):
    monkeypatch.setattr(engine_server, "MOST_NAMES", 8)
    client = await world.client()
    for number in range(30):
        await answer(client, ask(f"{number}.py"))
    one = next(iter(world.server._clients.values()))
    assert len(one.slots) <= 8
    for number in range(30):
        with contextlib.suppress(InfillError):
            await answer(client, ask(model=f"local:{number}" if number % 2 else f"x:{number}"))
    assert len(one.asked) <= 8


async def test_a_long_name_is_refused_before_it_is_sent_and_a_document_s_is_shortened(world):
    client = await world.client()
    with pytest.raises(RequestError, match="longer than"):
        await client.load("local:" + "x" * LONGEST_NAME)
    assert client.ended is None
    long = "file:///" + "x" * 5000
    assert len(_slot(long)) == LONGEST_NAME
    assert _slot(long + "a") != _slot(long + "b")
    assert _slot("file:///a\udcff") == "file:///a\ufffd"


# ---- the client's side


class Mute:
    """An engine that greets and then does what the test defines."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.over = asyncio.Event()
        self.connection: transport.Connection | None = None

    async def __call__(self, connection: transport.Connection) -> None:
        self.connection = connection
        connection.send(Welcome(version=transport.protocol.VERSION, pid=0))
        while (message := await connection.receive()) is not None:
            self.asked.set()
            if type(message).__name__ == "AskStatus" and message.id == 0:
                connection.send(Status(id=0, pid=0, version="", state="idle"))
        await connection.aclose()
        self.over.set()


@pytest.fixture
async def mute(home) -> AsyncIterator[tuple[Mute, EngineClient]]:
    where = transport.place()
    where.directory.mkdir(parents=True, exist_ok=True)
    engine = Mute()
    listener, _ = await transport.listen(where, engine)
    connection, token = await transport.connect(where)
    client = EngineClient(connection, EngineProcess(where))
    await client.greet("test", token)
    yield engine, client
    await client.aclose()
    await engine.over.wait()
    listener.close()


@pytest.mark.parametrize("verb", ["load", "unload", "status", "shutdown", "warm", "complete", "generate"])
async def test_each_request_has_a_deadline_of_its_own_on_the_client_s_side(mute, monkeypatch, verb):
    for name in ("LATE", "STATUS", "WARMING", "UNLOADING", "LOADING"):
        monkeypatch.setattr(engine_client, name, 0.1)
    _, client = mute
    question = {
        "load": lambda: client.load("m"),
        "unload": client.unload,
        "status": client.status,
        "shutdown": client.shutdown,
        "warm": lambda: client.warm(Warm(id=0, model="m", slot="s", prefix="", suffix="")),
        "complete": lambda: answer(client, ask(deadline_ms=50)),
        "generate": lambda: answer(client, Generate(id=0, model="m", slot="s", messages=(), stop=ask(deadline_ms=50).stop)),
    }[verb]
    with pytest.raises(ProviderUnavailable, match="did not answer within"):
        await asyncio.wait_for(question(), 20)
    assert client.ended is None
    assert not client._inboxes


async def test_another_request_does_not_begin_a_deadline_anew(mute, monkeypatch):
    monkeypatch.setattr(engine_client, "LOADING", 0.3)
    monkeypatch.setattr(engine_client, "STATUS", 0.02)
    _, client = mute
    loading = asyncio.ensure_future(client.load("m"))
    others = 0
    while not loading.done():
        with contextlib.suppress(ProviderUnavailable):
            await client.status()
        others += 1
        assert others < 500, "it is begun anew by each of these"
    with pytest.raises(ProviderUnavailable, match="did not answer within"):
        await loading


async def test_a_listener_that_fails_ends_neither_the_reading_nor_the_request(world, caplog):
    client = await world.client(told=[])
    client._on_changed = failing(ZeroDivisionError())
    client.on_end = failing(ZeroDivisionError())
    with caplog.at_level(logging.ERROR):
        assert (await answer(client, ask()))[0]
    assert "could not be handled" in caplog.text
    await client.aclose()
    assert client.ended is not None


async def test_reading_that_fails_ends_every_request(mute, monkeypatch):
    engine, client = mute
    asking = asyncio.ensure_future(client.load("m"))
    monkeypatch.setattr(client, "_sort", failing(KeyError("x")))
    await asyncio.wait_for(engine.asked.wait(), 20)
    engine.connection.send(Done(id=1))
    with pytest.raises(ProviderUnavailable, match="connection to the engine failed"):
        await asyncio.wait_for(asking, 20)
    assert client.ended is not None


async def test_a_connection_that_the_engine_ends_with_a_reason_is_no_crash(world):
    client = await world.client()
    client._connection.send(Hello(version=transport.protocol.VERSION, client="again"))
    await world.until(lambda: client.ended is not None)
    assert isinstance(client.ended, RequestError)
    assert not isinstance(client.ended, EngineCrashed)


async def test_text_that_is_no_unicode_is_refused_and_not_raised(world):
    client = await world.client()
    with pytest.raises(RequestError, match="not valid Unicode"):
        await answer(client, ask("a\udcff"))
    assert (await answer(client, ask()))[0]


async def test_a_model_file_on_which_the_reader_fails_is_an_answer_of_the_real_engine(provider: LocalProvider, home, tmp_path):
    """A manifest that links to a header of nested lists."""
    from infill import paths

    lists = struct.pack("<Q", 1) + b"x" + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 3000
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + lists)
    manifest = paths.data_directory() / "models" / "bad" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    file = {"name": "bad.gguf", "size": bad.stat().st_size, "link": str(bad)}
    manifest.write_bytes(msgspec.json.encode({"id": "bad", "title": "Bad", "source": "file", "files": [file]}))
    for _ in range(2):
        with pytest.raises(InfillError, match=r"bad\.gguf is damaged"):
            await asyncio.wait_for(provider.load("local:bad"), 60)
    other = LocalProvider(Settings(), lambda: "local:bad")
    try:
        from questions import answer as answered

        with pytest.raises(InfillError, match=r"bad\.gguf is damaged"):
            await asyncio.wait_for(answered(other), 60)
    finally:
        await other.aclose()
    assert (await provider.status()) is not None
