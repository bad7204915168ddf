"""Makes llama.cpp crash in its first batch, as with broken kernels: put this folder on PYTHONPATH, and set INFILL_TEST_CRASH.

    extra        models that are loaded with extra buffers (as AMX kernels of gcc 12 do)
    flash        contexts with flash attention that is not switched off
    all          everything
    engine:...   the same, but only in the engine process: a fault that a self-test misses

INFILL_TEST_SIGNAL is the signal (SIGILL), or `wrong` or `nan` for such results. With INFILL_TEST_STAGE=load it crashes while weights are loaded.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
from typing import Any

CRASH = os.environ.get("INFILL_TEST_CRASH", "")


def _spoil(module: Any) -> None:
    what, how = CRASH.removeprefix("engine:"), os.environ.get("INFILL_TEST_SIGNAL", "SIGILL")
    at_load = os.environ.get("INFILL_TEST_STAGE") == "load"
    state: dict[str, bool] = {}
    load, create, decode, logits = (
        getattr(module, name) for name in ("llama_model_load_from_file", "llama_init_from_model", "llama_decode", "llama_get_logits_ith")
    )

    def load_and_look(path: bytes, params: Any) -> Any:
        state["extra"] = bool(params.use_extra_bufts)
        if at_load and (what == "all" or state.get(what)):
            signal.raise_signal(getattr(signal, how))
        return load(path, params)

    def create_and_look(model: Any, params: Any) -> Any:
        state["flash"] = params.flash_attn_type != module.LLAMA_FLASH_ATTN_TYPE_DISABLED
        return create(model, params)

    def crash(context: Any, batch: Any) -> Any:
        if not at_load and (what == "all" or state.get(what)) and batch.n_tokens > 1:
            if how.startswith("SIG"):
                signal.raise_signal(getattr(signal, how))
            state["spoilt"] = True
        return decode(context, batch)

    def spoil_logits(context: Any, row: int) -> Any:
        pointer = logits(context, row)
        if state.get("spoilt"):
            for index in range(0, 1000, 2):
                pointer[index] = float("nan") if how == "nan" else -pointer[index] * 3
        return pointer

    module.llama_model_load_from_file, module.llama_init_from_model = load_and_look, create_and_look
    module.llama_decode, module.llama_get_logits_ith = crash, spoil_logits


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "llama_cpp":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (run(module), _spoil(module))[1]  # type: ignore[method-assign]
        return spec


if CRASH and (not CRASH.startswith("engine:") or "infill.engine" in sys.orig_argv):
    sys.meta_path.insert(0, _Finder())
