"""Model files that are damaged or made to harm: each ends in facts or in BadModelFile, within bounds of time and memory."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import SECONDS, Clock, fuzz
from hypothesis import given
from hypothesis import strategies as st
from small_gguf import entry, head_and_size, small_gguf, text

from infill import paths
from infill.errors import BadModelFile
from infill.models import gguf

MUTANTS = 2000
NUMBERS = (0, 1, 3, 8, 9, 255, 2**16, 2**28, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)


def outcome(file: Path, content: bytes) -> gguf.Facts | str:
    """What the reader makes of it; whatever it raises besides fails the test."""
    file.write_bytes(content)
    try:
        return gguf.read(file)
    except BadModelFile as exc:
        return exc.message


def mutated(chance: random.Random, whole: bytes, header: int) -> bytes:
    """A model's file with some bytes changed, counts replaced, pieces moved, doubled or cut."""
    content = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        at = chance.randrange(header)
        match chance.randrange(6):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                content[at : at + 8] = struct.pack("<Q", chance.choice(NUMBERS))
            case 2:
                content[at : at + 4] = struct.pack("<I", chance.choice(NUMBERS) & 0xFFFFFFFF)
            case 3:
                content[at:at] = content[at : at + chance.randrange(64)]
            case 4:
                del content[at : at + chance.randrange(64)]
            case 5:
                content[at : at + 8] = struct.pack("<d", chance.choice((float("nan"), float("inf"), -1.0, 1e300)))
    return bytes(content[: chance.randrange(len(content))] if chance.random() < 0.05 else content)


def models() -> list[tuple[bytes, int]]:
    shapes = (
        {},
        {"fim": False, "chat": True, "qwen2.expert_count": 8, "qwen2.expert_used_count": 2},
        {"qwen2.ssm.conv_kernel": 4, "general.alignment": 32},
    )
    return [(small_gguf(vocabulary=8, **shape), len(head_and_size(vocabulary=8, **shape)[0])) for shape in shapes]


def test_thousands_of_damaged_models_end_in_facts_or_in_a_sentence(tmp_path: Path) -> None:
    whole, seen = models(), set()
    for number in range(MUTANTS):
        chance = random.Random(number)
        seen.add(type(outcome(tmp_path / "m.gguf", mutated(chance, *whole[number % len(whole)]))))
    assert seen == {gguf.Facts, str}


@pytest.mark.skipif(not SECONDS, reason="by hand: INFILL_FUZZ_SECONDS")
def test_other_damaged_models_for_as_long_as_wished(tmp_path: Path) -> None:
    whole, clock, number = models(), Clock(), MUTANTS
    while not clock.over():
        chance = random.Random(number)
        assert outcome(tmp_path / "m.gguf", mutated(chance, *whole[number % len(whole)])), number
        number += 1


# ---- headers that are well formed and senseless

scalars = st.one_of(st.integers(-(2**31), 2**31 - 1), st.floats(), st.text(max_size=20), st.sampled_from(NUMBERS))
KEYS = (
    "general.architecture",
    "general.name",
    "general.alignment",
    "general.file_type",
    "tokenizer.ggml.tokens",
    "tokenizer.chat_template",
    *(
        f"qwen2.{key}"
        for key in (
            "block_count",
            "embedding_length",
            "feed_forward_length",
            "context_length",
            "attention.head_count",
            "attention.head_count_kv",
            "attention.key_length",
            "attention.value_length",
            "expert_count",
            "expert_used_count",
            "expert_feed_forward_length",
        )
    ),
)


def packed(value: object) -> bytes:
    """A metadata value with its type."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, float):
        return struct.pack("<Id", 12, value)
    if isinstance(value, list):
        kind = 8 if value and isinstance(value[0], str) else 12 if value and isinstance(value[0], float) else 10
        items = [text(str(each)) if kind == 8 else struct.pack("<d", float(each)) if kind == 12 else struct.pack("<q", int(each)) for each in value]
        return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(items)
    return struct.pack("<I", 11) + struct.pack("<q", value) if value < 2**63 else struct.pack("<IQ", 10, value)  # type: ignore[operator]


values = st.one_of(
    scalars,
    st.lists(st.integers(-1, 2**40), max_size=6),
    st.lists(st.text(max_size=4), max_size=6),
    st.lists(st.floats(), max_size=3),
)
tensors = st.lists(
    st.tuples(
        st.sampled_from(("blk.0.attn_q.weight", "blk.1.ffn_up_exps.weight", "output.weight", "token_embd.weight", "blk.\u0661.x", "")),
        st.lists(st.sampled_from((0, 1, 32, 256, *NUMBERS)), max_size=6),
        st.integers(0, 50),
        st.sampled_from((0, 32, 2**63, 2**64 - 1)),
    ),
    max_size=5,
)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@fuzz(examples=250)
@given(metadata=st.dictionaries(st.sampled_from(KEYS), values), made=tensors, weights=st.integers(0, 4000))
def test_a_header_of_any_values_ends_in_facts_or_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, clock: Clock, metadata: dict[str, object], made: list[tuple[str, list[int], int, int]], weights: int
) -> None:
    if clock.over():
        return
    metadata = {"general.architecture": "qwen2", "qwen2.block_count": 2, **metadata}
    header = b"GGUF" + struct.pack("<IQQ", 3, len(made), len(metadata))
    header += b"".join(text(key) + packed(value) for key, value in metadata.items())
    for name, shape, kind, offset in made:
        header += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
    assert outcome(tmp_path_factory.getbasetemp() / "m.gguf", header + bytes(weights))


# ---- what was found


def model_with(values: bytes, count: int = 1) -> bytes:
    """A small model whose metadata begin with these entries."""
    whole = small_gguf()
    tensors, entries = struct.unpack_from("<QQ", whole, 8)
    return whole[:8] + struct.pack("<QQ", tensors, entries + count) + values + whole[24:]


def nested(depth: int) -> bytes:
    return text("x") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * depth + struct.pack("<IQ", 4, 0)


FOUND = {
    "lists in lists, some hundred deep": model_with(nested(3000)),
    "an alignment of 0": small_gguf(**{"general.alignment": 0}),
    "a file type that is a list": small_gguf(**{"general.file_type": ["a"]}),
    "a vocabulary that is a number": small_gguf(**{"tokenizer.ggml.tokens": 7}),
    "a vocabulary that is a text": small_gguf(**{"tokenizer.ggml.tokens": "word"}),
    "a number of layers that is a text": small_gguf(**{"qwen2.block_count": "two"}),
    "a number of layers that is a list of texts": small_gguf(**{"qwen2.block_count": ["two"]}),
    "a number of heads that is a text": small_gguf(**{"qwen2.attention.head_count": "4"}),
    "a NaN for the context": model_with(text("qwen2.context_length") + struct.pack("<Id", 12, float("nan"))).replace(
        text("qwen2.context_length") + struct.pack("<II", 4, 1024), text("qwen2.context_lengtH") + struct.pack("<II", 4, 1024)
    ),
    "experts, and tensors without weights": small_gguf(width=0, vocabulary=0, fim=False, **{"qwen2.expert_count": 8, "qwen2.expert_used_count": 2}),
    "more experts used than there are": small_gguf(**{"qwen2.expert_count": 2, "qwen2.expert_used_count": 9}),
}


@pytest.mark.parametrize("content", FOUND.values(), ids=FOUND)
def test_what_fuzzing_found_in_headers_stays_a_sentence(tmp_path: Path, content: bytes) -> None:
    assert outcome(tmp_path / "m.gguf", content)


@pytest.mark.parametrize("name", ["x-00001-of-00000.gguf", "x-00002-of-00001.gguf", "x-00001-of-99999.gguf", "x-\u0660\u0660001-of-00002.gguf"])
def test_a_name_that_counts_parts_wrongly_is_a_name_like_any_other(tmp_path: Path, name: str) -> None:
    assert gguf.parts_of(tmp_path / name) == [tmp_path / name]
    assert isinstance(outcome(tmp_path / name, small_gguf()), gguf.Facts)


def test_what_a_file_calls_itself_is_one_short_line(tmp_path: Path) -> None:
    facts = outcome(tmp_path / "m.gguf", small_gguf(**{"general.name": "evil\x1b]0;title\x07\n" + "x" * 5000}))
    assert isinstance(facts, gguf.Facts)
    assert facts.name.isprintable()
    assert len(facts.name) <= 200


HEAD = b"GGUF" + struct.pack("<I", 3)
HUGE = {
    "entries": (HEAD + struct.pack("<QQ", 0, 2**28), 1 << 32),
    "words": (HEAD + struct.pack("<QQ", 0, 1) + text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2**28), 1 << 32),
    "as many words as are allowed": (HEAD + struct.pack("<QQ", 0, 1) + text("x") + struct.pack("<IIQ", 9, 8, 4_000_000), 1 << 32),
    "words in many lists": (HEAD + struct.pack("<QQ", 0, 60_000) + (text("x") + struct.pack("<IIQ", 9, 8, 3_999_999)), 1 << 32),
    "dimensions": (HEAD + struct.pack("<QQ", 1, 0) + text("blk.0.x") + struct.pack("<I", 2**28), 1 << 32),
    "large dimensions": (HEAD + struct.pack("<QQ", 1, 0) + text("blk.0.x") + struct.pack("<I", 400_000) + b"\xff" * 3_200_000, 4_000_000),
    "empty lists in a list": (HEAD + struct.pack("<QQ", 0, 1) + text("x") + struct.pack("<IIQ", 9, 9, 2**26), 805_000_000),
    "numbers": (HEAD + struct.pack("<QQ", 0, 1) + text("x") + struct.pack("<IIQ", 9, 0, 2**28), 1 << 32),
    "tensors": (HEAD + struct.pack("<QQ", 100_000, 0), 1 << 32),
    "a text": (HEAD + struct.pack("<QQ", 0, 1) + text("general.name") + struct.pack("<IQ", 8, 250_000_000), 1 << 32),
}
MEASURE = """
import pathlib, resource, sys, time
from infill.errors import BadModelFile
from infill.models import gguf
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    gguf.read(pathlib.Path(sys.argv[1]))
except BadModelFile:
    print(time.process_time() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // (1 if sys.platform != "darwin" else 1024))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such accounts of a process, and files are not sparse by themselves")
@pytest.mark.parametrize("which", HUGE)
def test_a_small_or_sparse_file_with_a_huge_header_costs_bounded_time_and_memory(tmp_path: Path, which: str) -> None:
    """Processor time and memory of a process of its own: neither depends on what else the machine does."""
    file, (content, size) = tmp_path / "sparse.gguf", HUGE[which]
    file.write_bytes(content)
    with file.open("r+b") as stream:
        stream.truncate(size)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True, timeout=120)
    seconds, kilobytes = map(float, done.stdout.split())
    assert seconds < 15
    assert kilobytes < 700_000


def test_the_bundled_model_still_reads(tmp_path: Path) -> None:
    assert gguf.read(paths.bundled_model()).fim


def test_an_entry_is_made_as_the_reader_expects_it(tmp_path: Path) -> None:
    """The maker of these files is right: what it writes is read back."""
    assert isinstance(outcome(tmp_path / "m.gguf", model_with(entry("a.b", "c") + entry("d", ["e", "f"]), 2)), gguf.Facts)
