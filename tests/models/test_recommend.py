"""The recommendation: the best that fits beside the user's other programs and is quick enough, with the reason; and the list to choose from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from small_gguf import MODEL, put, small_gguf, write_catalogue
from test_fit import machine

from infill import state
from infill.errors import ModelError, UnknownModel
from infill.models import catalog, child, fit, hardware, importing, listing, recommend, store
from infill.models.machine import Machine
from infill.models.recommend import Speeds
from infill.settings import Engine, Models, Settings

LAPTOP = Speeds(machine="", bundled_per_second=2000.0, copied_per_second=30e9)
"""A good one, quiet."""
SLOW = Speeds(machine="", bundled_per_second=400.0, copied_per_second=6e9)
CARD = Speeds(machine="", bundled_per_second=2000.0, copied_per_second=30e9, gpu_bytes_per_second=1000e9)


def best(where: Machine, speeds: Speeds, role: state.Role = "complete") -> recommend.Recommendation:
    return recommend.best(list(catalog.load().entries.values()), where, speeds, Engine(), role)


@pytest.mark.parametrize(
    ("where", "speeds", "expected"),
    [
        pytest.param(machine(4, 2.4, 2), SLOW, "qwen2.5-coder-0.5b-q4_k_m", id="4 GB laptop: the fastest that fits"),
        pytest.param(machine(16, 10), LAPTOP, "qwen2.5-coder-1.5b-q4_k_m", id="16 GB, no GPU: what is quick enough, not what fits"),
        pytest.param(machine(16, 10, gpus=[(6.44, 5.9)]), CARD, "qwen2.5-coder-7b-q4_k_m", id="6 GB card"),
        pytest.param(machine(32, 24, gpus=[(25.7, 24.5)]), CARD, "qwen3-coder-30b-a3b-q4_k_m", id="24 GB card"),
        pytest.param(machine(128, 120, gpus=[(150, 149)]), CARD, "qwen3-coder-30b-a3b-q8_0", id="H200"),
    ],
)
def test_each_machine_gets_what_suits_it(home: Path, where: Machine, speeds: Speeds, expected: str) -> None:
    found = best(where, speeds)
    assert found.id == f"local:{expected}", found.reason
    assert found.tokens_per_second > 0
    assert "tokens/s" in found.reason
    assert "memory are free" in found.reason or "GPU" in found.reason


def test_nothing_that_is_not_for_commercial_use_is_recommended(home: Path) -> None:
    for memory in range(3, 120, 3):
        with_room = machine(memory, memory * 0.8)
        for speeds in (SLOW, LAPTOP, CARD):
            try:
                assert "3b" not in best(with_room, speeds).id.split("-")
            except ModelError:
                assert memory < 6


def test_nothing_that_only_just_fits_is_recommended(home: Path) -> None:
    for memory in range(4, 60, 2):
        where = machine(memory, memory * 0.7)
        found = best(where, CARD)
        facts = catalog.expected(catalog.load().entries[catalog.short(found.id)])
        assert facts is not None
        assert fit.plan(facts, where).need.memory < where.memory_total * 0.6


def test_a_machine_without_room_is_told_what_to_do(home: Path) -> None:
    with pytest.raises(ModelError, match="420 MB of 2") as failure:
        best(machine(2, 0.42), LAPTOP)
    assert "remote provider" in failure.value.hint


def test_code_is_generated_by_a_model_that_follows_instructions(home: Path) -> None:
    found = best(machine(16, 10), LAPTOP, "generate")
    assert "generate" in catalog.load().entries[catalog.short(found.id)].roles


@pytest.mark.slow
def test_this_machine_is_measured_once_and_remembered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "UNDISTURBED", 0.0)  # whatever else this machine does now
    here = hardware.machine()
    found = recommend.recommend(machine=msgspec.structs.replace(here, memory_free=here.memory_total // 2))
    speeds = recommend.remembered(here)
    assert found.tokens_per_second > 0
    assert speeds is not None
    assert speeds.bundled_per_second > 1
    assert speeds.copied_per_second > 1e8
    assert recommend.remembered(msgspec.structs.replace(here, llama_cpp="another")) is None


def test_an_unmeasured_machine_promises_no_speed(home: Path) -> None:
    facts = catalog.expected(catalog.load().entries["qwen2.5-coder-1.5b-q8_0"])
    assert facts is not None
    assert recommend.expected_speed(facts, fit.plan(facts, machine(16, 10)), machine(16, 10), None) == 0


def test_a_mixture_of_experts_is_as_fast_as_what_works_of_it(home: Path) -> None:
    where, entries = machine(128, 120, gpus=[(150, 149)]), catalog.load().entries
    speeds = {}
    for name in ("qwen3-coder-30b-a3b-q8_0", "qwen2.5-coder-14b-q8_0"):
        facts = catalog.expected(entries[name])
        assert facts is not None
        speeds[name] = recommend.expected_speed(facts, fit.plan(facts, where), where, CARD)
    assert speeds["qwen3-coder-30b-a3b-q8_0"] > 2 * speeds["qwen2.5-coder-14b-q8_0"]


# ---- the list to choose from


def test_the_list_has_what_is_here_what_could_be_had_and_what_others_have(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "user" / ".lmstudio" / "models" / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "theirs.gguf").write_bytes(MODEL)
    put(tmp_path / "mine" / "watched.gguf", small_gguf(chat=True))
    found = listing.listing(Settings(models=Models(folders=[str(tmp_path / "mine")])), machine=machine(16, 10))
    by_id = {choice.id: choice for choice in found.choices}
    assert (by_id["local:watched"].state, by_id["local:watched"].roles) == ("installed", ("complete", "generate"))
    assert (by_id["local:qwen2.5-coder-7b-q8_0"].state, by_id["local:qwen2.5-coder-7b-q8_0"].fit) == ("available", "fits")
    assert by_id["local:qwen2.5-coder-14b-q8_0"].fit == "too big"
    assert by_id["local:lmstudio-theirs"].source == "lmstudio"
    assert by_id["local:bundled"].active == ("complete", "generate")
    assert all(choice.why for choice in found.choices)
    assert found.problems == ()


def test_one_bad_file_does_not_spoil_the_list(home: Path, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(MODEL)
    importing.import_file(tmp_path / "x.gguf")
    (tmp_path / "x.gguf").write_bytes(MODEL[:2000])
    write_catalogue('id = "Bad Id"')
    found = listing.listing(Settings(), machine=machine(16, 10))
    assert next(choice for choice in found.choices if choice.id == "local:x").state == "broken"
    assert len(found.problems) == 1


def test_a_choice_is_remembered_and_the_nearest_wins(home: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.gguf").write_bytes(MODEL)
        importing.import_file(tmp_path / f"{name}.gguf")
    assert listing.use("a") == "local:a"
    listing.use("local:b", workspace="/project")
    assert listing.chosen(Settings())["complete"] == "local:a"
    assert listing.chosen(Settings(), "/project")["complete"] == "local:b"
    assert listing.listing(Settings(), "/project", machine(16, 10)).scope == "workspace"
    assert listing.listing(Settings(), "/other", machine(16, 10)).scope == "global"
    named = Settings(models=Models(complete="local:bundled"))
    assert listing.listing(named, "/project", machine(16, 10)).scope == "settings"
    assert listing.chosen(named, "/project")["complete"] == "local:bundled"


def test_a_model_is_not_chosen_for_what_it_cannot_do(home: Path, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(small_gguf(fim=True, chat=False))
    importing.import_file(tmp_path / "x.gguf")
    with pytest.raises(ModelError, match="does not follow instructions"):
        listing.use("x", "generate")
    assert state.load().models == {}


def test_a_model_without_fim_tokens_is_chosen_with_a_remark_and_never_recommended(home: Path, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(small_gguf(fim=False, chat=True))
    importing.import_file(tmp_path / "x.gguf")
    here = machine(16, 10)
    assert listing.use("x") == "local:x"
    assert "continues only" in listing.remark("local:x", "complete")
    assert listing.remark("local:x", "generate") == listing.remark("local:bundled", "complete") == listing.remark("ollama:x", "complete") == ""
    marked = {choice.id: choice.continues_only for choice in listing.listing(Settings(), machine=here).choices}
    assert marked["local:x"]
    assert not marked["local:bundled"]
    assert recommend.recommend(machine=here, speeds=LAPTOP).id != "local:x"


def test_what_is_not_here_cannot_be_chosen_but_other_providers_models_can(home: Path) -> None:
    with pytest.raises(ModelError):
        listing.use("qwen2.5-coder-1.5b-q8_0")
    with pytest.raises(UnknownModel):
        listing.use("nobody")
    assert listing.use("ollama:qwen2.5-coder:7b") == "ollama:qwen2.5-coder:7b"


def test_listing_loads_no_heavy_library(home: Path) -> None:
    code = "import sys; from infill.models import listing; from infill.settings import Settings; listing.listing(Settings()); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "llama_cpp", "huggingface_hub", "httpx2", "rich", "typer"} & set(loaded)
    assert store.installed()


@pytest.mark.parametrize(("received", "kept"), [(0.3, False), (0.97, True)])
def test_speeds_of_a_busy_machine_are_not_remembered(home, monkeypatch, received, kept):
    said = f'{{"bundled_per_second": 100.0, "copied_per_second": 1e9, "received": {received}}}'.encode()
    monkeypatch.setattr(recommend.child, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, said, b""))
    here = hardware.machine()
    found = recommend.measure(here)
    assert (found.bundled_per_second, found.busy) == (100.0, not kept)
    assert (recommend.remembered(here) is not None) == kept
    assert (recommend.BUSY in recommend.recommend(machine=here, speeds=found).reason) == (not kept)
    assert (recommend.BUSY in recommend.recommend(machine=here).reason) == (not kept)
