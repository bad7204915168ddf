"""Reports what llama.cpp detects, as JSON, in a separate process: `python -m infill.engine.probe [MODEL.gguf]`.

Graphics drivers crash, and llama.cpp aborts when its assertions fail; the engine and the language server must survive both. No weights are
loaded: of a model only its metadata is read (`no_alloc`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import llama_cpp
import msgspec
from llama_cpp import _ggml

from infill.engine.llama import capture_log, recent_complaints
from infill.engine.load_errors import check_header, load_error
from infill.errors import InfillError


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A compute device, as listed by ggml."""

    name: str
    description: str
    kind: str
    """`cpu`, `gpu`, `igpu` (shares the machine's memory), `accel` or `other`."""
    free_bytes: int
    total_bytes: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of a GGUF file."""

    architecture: str
    name: str
    description: str
    file_bytes: int
    weight_bytes: int
    parameters: int
    layers: int
    embedding: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    trained_context: int
    sliding_window: int
    recurrent: bool
    fim: bool
    """Its vocabulary has fill-in-the-middle tokens."""
    fim_order: str
    chat: bool
    """It has a chat template, so it may follow instructions."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report."""

    llama_cpp: str
    system: str
    gpu_offload: bool
    devices: tuple[Device, ...]
    model: Facts | None = None
    error: str = ""
    """Why the model's facts are missing, as a sentence."""


KINDS = {0: "cpu", 1: "gpu", 2: "igpu", 3: "accel"}


def devices() -> tuple[Device, ...]:
    """All compute devices of ggml."""
    library = _ggml.libggml
    own = Path(library._name).name  # noqa: SLF001 - where ctypes keeps the file that it loaded
    base = ctypes.CDLL(str(_ggml.libggml_base_path / own.replace("ggml", "ggml-base")))
    get = _function(library, "ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    name = _function(base, "ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)
    description = _function(base, "ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)
    kind = _function(base, "ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    memory = _function(base, "ggml_backend_dev_memory", None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t))
    found = []
    for index in range(_function(library, "ggml_backend_dev_count", ctypes.c_size_t)()):
        device = get(index)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        found.append(
            Device(
                name=name(device).decode(),
                description=description(device).decode("utf-8", "replace"),
                kind=KINDS.get(kind(device), "other"),
                free_bytes=free.value,
                total_bytes=total.value,
            )
        )
    return tuple(found)


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


def facts(path: Path) -> Facts:
    """Read a model's metadata. Raises BadModelFile."""
    check_header(path)
    params = llama_cpp.llama_model_default_params()
    params.no_alloc = True
    params.n_gpu_layers = 0
    # with no_alloc the weights are not read; llama.cpp then refuses to map them
    params.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise load_error(path, recent_complaints())
    vocab: Any = llama_cpp.llama_model_get_vocab(model)
    heads = llama_cpp.llama_model_n_head(model)
    architecture = _text(model, "general.architecture")
    return Facts(
        architecture=architecture,
        name=_text(model, "general.name"),
        description=_description(model),
        file_bytes=path.stat().st_size,
        weight_bytes=llama_cpp.llama_model_size(model),
        parameters=llama_cpp.llama_model_n_params(model),
        layers=llama_cpp.llama_model_n_layer(model),
        embedding=llama_cpp.llama_model_n_embd(model),
        heads=heads,
        kv_heads=llama_cpp.llama_model_n_head_kv(model),
        head_size=int(_text(model, f"{architecture}.attention.key_length") or llama_cpp.llama_model_n_embd(model) // max(1, heads)),
        vocabulary=llama_cpp.llama_vocab_n_tokens(vocab),
        trained_context=llama_cpp.llama_model_n_ctx_train(model),
        sliding_window=llama_cpp.llama_model_n_swa(model),
        recurrent=llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model),
        fim=llama_cpp.llama_vocab_fim_pre(vocab) >= 0 and llama_cpp.llama_vocab_fim_suf(vocab) >= 0,
        fim_order=_text(model, "infill.fim_order"),
        chat=bool(llama_cpp.llama_model_chat_template(model, None)),
    )


def _text(model: Any, key: str) -> str:
    buffer = ctypes.create_string_buffer(256)
    length = llama_cpp.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace") if length > 0 else ""


def _description(model: Any) -> str:
    buffer = ctypes.create_string_buffer(128)
    llama_cpp.llama_model_desc(model, buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")


def report(path: Path | None) -> Report:
    """All devices, and the facts of a model if one is named."""
    capture_log()
    llama_cpp.llama_backend_init()
    model, error = None, ""
    if path is not None:
        try:
            model = facts(path)
        except InfillError as exc:
            error = exc.message
    return Report(
        llama_cpp=llama_cpp.__version__,
        system=llama_cpp.llama_print_system_info().decode("utf-8", "replace").strip(),
        gpu_offload=bool(llama_cpp.llama_supports_gpu_offload()),
        devices=devices(),
        model=model,
        error=error,
    )


def main(arguments: list[str]) -> int:
    """Print the report on the real stdout; all other output goes to stderr."""
    out = os.dup(1)
    os.dup2(2, 1)
    answer = msgspec.json.encode(report(Path(arguments[0]) if arguments else None))
    os.write(out, answer + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
