"""Quantizes a model with llama.cpp's own quantizer, in a process of its own: it may abort, and can be stopped at any moment.

The new file gets its name only when it is complete. Only the child imports llama.cpp: `python -m infill.models.quantize SRC DST TYPE`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from infill import state
from infill.errors import ModelError
from infill.models import catalog, child, gguf, store
from infill.models.child import Child
from infill.models.fit import amount
from infill.models.store import Manifest, StoredFile

TYPES = {name: number for number, name in gguf.QUANTIZATIONS.items() if name not in ("mxfp4", "f32")}
BITS = {
    "q2": 3.4,
    "q3": 4.0,
    "q4": 5.0,
    "q5": 5.8,
    "q6": 6.6,
    "q8": 8.6,
    "f16": 16.1,
    "bf16": 16.1,
    "iq1": 2.2,
    "iq2": 3.0,
    "iq3": 3.9,
    "iq4": 4.8,
    "tq": 2.5,
}
"""Upper bounds of bits per weight, to estimate the disk space for the result."""
STEP = re.compile(r"^\[\s*(\d+)/\s*(\d+)\]")
POLL_SECONDS = 0.1


def quantize(
    source: Path,
    target: Path,
    type_name: str,
    progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bool:
    """Write `target` in another quantization; False when cancelled. Raises BadModelFile or ModelError."""
    check(source, target, type_name)
    with store.writing():
        target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    command = child.python("-m", "infill.models.quantize", str(source.absolute()), str(partial.absolute()), type_name)
    try:
        with child.running(command, words=True) as quantizer:
            if not _follow(quantizer, source, progress, cancelled):
                return False
        gguf.read(partial)
        with store.writing():
            state.replace(partial, target)
        progress(1.0)
        return True
    finally:
        partial.unlink(missing_ok=True)


def _follow(quantizer: Child, source: Path, progress: Callable[[float], None], cancelled: Callable[[], bool]) -> bool:
    """Report progress from the quantizer's output until it exits; False when cancelled. Raises ModelError with its last lines."""
    said: list[str] = []
    while not cancelled():
        line = quantizer.line(POLL_SECONDS)
        if line is None:
            continue
        if not line:
            if quantizer.code() != 0:
                raise ModelError(f"{source.name} could not be quantized: {_reason(said)}", "A file in f16 or bf16 is the best source.")
            return True
        text = line.decode("utf-8", "replace").strip()
        if found := STEP.match(text):
            progress(int(found[1]) / int(found[2]))
        elif text:
            said.append(text)
    return False


def check(source: Path, target: Path, type_name: str) -> None:
    """Raises BadModelFile, or ModelError where the type is unknown or the file's own, or the disk is too full."""
    if type_name not in TYPES:
        raise ModelError(f"There is no quantization {type_name!r}.", f"Known: {', '.join(sorted(TYPES))}.")
    facts = gguf.facts(source)
    if facts.quantization == type_name:
        raise ModelError(f"{source.name} is in {type_name} already.", "Choose a smaller quantization, such as q4_k_m.")
    bits = next(value for name, value in BITS.items() if type_name.startswith(name))
    needed = int(facts.parameters * bits / 8)
    parent = next(folder for folder in target.absolute().parents if folder.exists())
    if (free := shutil.disk_usage(parent).free) < needed:
        raise ModelError(f"The result needs about {amount(needed)} and {amount(free)} are free in {parent}.", "Free some space first.")


def install(
    name: str, type_name: str, progress: Callable[[float], None] = lambda share: None, cancelled: Callable[[], bool] = lambda: False
) -> Manifest | None:
    """Quantize an installed model, or a file, into a new model of the store; None when cancelled. Raises as `quantize` does."""
    here = Path(name).expanduser()
    manifest = None if here.is_file() else store.find(name)
    source = here if manifest is None else store.locate(name).path
    stem = manifest.id if manifest else catalog.make_id(here.name)
    found = catalog.quantization_of(f"{stem}.gguf")
    new_id = f"{stem.removesuffix(f'-{found}').removesuffix(f'.{found}') if found else stem}-{type_name}"
    with store.locked(new_id):
        staged = store.incoming_directory(new_id)
        target = staged / f"{new_id}.gguf"
        if not quantize(source, target, type_name, progress, cancelled):
            return None
        stored = StoredFile(name=target.name, size=target.stat().st_size, sha256=store.sha256_of(target))
        facts = gguf.facts(target)
        made = Manifest(
            id=new_id,
            title=manifest.title if manifest else facts.name,
            source="quantized",
            files=(stored,),
            repository="",
            licence=manifest.licence if manifest else "as the original",
            commercial=manifest.commercial if manifest else True,
            quantization=type_name,
            roles=manifest.roles if manifest else store.roles_of(facts),
            fim_order=manifest.fim_order if manifest else "",
            context=facts.context,
        )
        return store.install(made, staged)


def _reason(said: list[str]) -> str:
    return (
        next((line for line in reversed(said) if "fail" in line or "error" in line.lower()), said[-1] if said else "llama.cpp gave no reason") + "."
    )


def main(source: str, target: str, type_name: str) -> int:
    """The child process: quantize, and exit when the parent process exits."""
    import ctypes

    import llama_cpp

    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = TYPES[type_name]
    params.nthread = max(1, (os.cpu_count() or 2) - 1)
    params.allow_requantize = True
    return int(llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)))


if __name__ == "__main__":
    # skip llama.cpp's destructors: they are not needed and may crash
    os._exit(main(*sys.argv[1:]))
