"""What a dead engine's last lines mean."""

from __future__ import annotations

import pytest

from infill.engine.advice import crashed


@pytest.mark.parametrize(
    ("lines", "exit_code", "says", "next_step"),
    [
        (["ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 123"], None, "out of memory", "contextSize"),
        (["CUDA error: out of memory"], None, "out of memory", "gpuLayers"),
        (["CUDA error: an illegal memory access was encountered"], -6, "graphics driver", "gpuLayers"),
        (["ModuleNotFoundError: No module named 'llama_cpp'"], 1, "not installed", "infill doctor"),
        (["OSError: libcudart.so.12: cannot open shared object file"], 1, "not installed", "infill build"),
        (["/build/ggml.c:123: GGML_ASSERT(ne0 > 0) failed"], -6, "llama.cpp crashed (SIGABRT)", "started again"),
        ([], -4, "llama.cpp crashed (SIGILL)", "plainer kernels"),
        ([], 0xC000001D, "llama.cpp crashed (SIGILL)", "plainer kernels"),
        (["Fatal Python error: Segmentation fault"], None, "llama.cpp crashed (SIGSEGV)", "plainer kernels"),
        ([], -9, "without a word", "memory is short"),
        (["OSError: [Errno 28] No space left on device"], 1, "write its files", "Make room"),
    ],
)
def test_a_crash_is_explained_with_the_next_step(lines, exit_code, says, next_step):
    trouble = crashed(lines, exit_code)
    assert says in trouble.message
    assert next_step in trouble.hint
