"""What a build needs that a processor lacks: said only where it is certain."""

from __future__ import annotations

from pathlib import Path

import pytest

from infill.models import library, processor

OLD = "processor\t: 0\nmodel name\t: Nehalem\nflags\t\t: fpu sse sse2 pni ssse3 sse4_2\n"
NEW = "processor\t: 0\nmodel name\t: Sapphire Rapids\nflags\t\t: pni ssse3 avx avx2 f16c fma bmi2 avx512f avx512vbmi avx512_vnni amx_tile amx_int8\n"


@pytest.mark.parametrize(
    ("cpuinfo", "built_for", "lacks"),
    [
        (OLD, ("SSE3", "AVX2", "AVX512", "REPACK", "LLAMAFILE"), ("AVX2", "AVX512")),
        (NEW, ("SSE3", "AVX2", "AVX512", "AVX512_VBMI", "AVX512_VNNI", "AMX_INT8", "OPENMP"), ()),
        (OLD, (), ()),
        ("no flags at all", ("AVX2",), ()),
    ],
)
def test_instruction_sets_are_compared_by_name(cpuinfo, built_for, lacks, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    processor.CPUINFO.write_text(cpuinfo)
    assert processor.missing(built_for) == lacks


def test_without_a_list_of_the_system_nothing_is_lacking(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    assert processor.missing(("AVX2",)) == ()


def test_this_processor_has_what_its_own_llama_cpp_uses(home):
    import llama_cpp

    assert processor.missing(library.features_of(llama_cpp.llama_print_system_info().decode())) == ()


def test_the_features_of_a_build_are_kept_and_belong_to_it(home, monkeypatch):
    assert library.features() == ()
    library.keep_features(("AVX2",))
    assert library.features() == ("AVX2",)
    monkeypatch.setattr(library, "version", lambda: "another")
    assert library.features() == ()
