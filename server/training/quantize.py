"""Quantizes the trained 16-bit file to q8_0 and accepts the result only if its answers on held-out positions stay the same.

`python quantize.py tiny-f16.gguf [--install]`: with --install the accepted file, otherwise the 16-bit one, becomes the bundled model.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import llama_cpp

from corpus import HELD, read_texts
from evaluate import answer, positions, report

BUNDLED = Path(__file__).parents[1] / "infill" / "data" / "infill-tiny.gguf"
LEAST_KEPT, LEAST_SAME = 0.95, 0.97
"""Least share of right answers that stay right | of all first lines that stay the same. In a model of this size two tokens often have nearly the same
probability. If rounding decides, answers also depend on how a prompt was split into batches. Therefore both shares are checked."""


def quantize(source: Path, target: Path) -> None:
    """Write `source` with 8-bit weights; everything else in the file is unchanged."""
    how = llama_cpp.llama_model_quantize_default_params()
    how.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
    how.nthread = 2
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), how) != 0:
        raise SystemExit(f"llama.cpp could not quantize {source}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--held", type=Path, default=HELD)
    parser.add_argument("--positions", type=int, default=1000)
    parser.add_argument("--install", action="store_true", help=f"make it {BUNDLED.name} when its answers stay the same")
    a = parser.parse_args()
    asked = positions(read_texts(a.held), a.positions)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "q8_0.gguf"
        quantize(a.model, small)
        before, after = answer(a.model, asked), answer(small, asked)
        report(f"16-bit ({a.model.stat().st_size / 1e6:.1f} MB)", before, asked)
        report(f"q8_0 ({small.stat().st_size / 1e6:.1f} MB)", after, asked)
        same = sum(one == other for one, other in zip(before.texts, after.texts, strict=True)) / len(asked)
        right = before.right(asked)
        kept = len(right & after.right(asked)) / max(1, len(right))
        good = kept >= LEAST_KEPT and same >= LEAST_SAME
        verdict = "the small file serves" if good else "too much is lost"
        print(f"{kept:.1%} of {len(right)} right answers stay right; the same first line at {same:.1%} of positions: {verdict}")
        if a.install:
            shutil.copyfile(small if good else a.model, BUNDLED)
            print(f"{BUNDLED} is now {'q8_0' if good else 'the 16-bit file'}")


if __name__ == "__main__":
    main()
