"""Measures Neovim's own share of the time from a key to ghost text, with a server inside Neovim that answers at once: the plugin's timer and Neovim's.

usage: python tests/editors/nvim_speed.py PATH-OF-NVIM
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from nvim import FAKE, Neovim, neovim  # noqa: E402 - needs the folders above

KEYS = 40
CLOCK = """
local state = require('vim.lsp._capability').all.inline_completion.active[1]
vim.on_key(function() _G.key = vim.uv.hrtime() end)
local handler = state.handler
state.handler = function(...)
  handler(...)
  if _G.key then _G.times[#_G.times + 1] = (vim.uv.hrtime() - _G.key) / 1e6 end
  _G.key = nil
end
_G.neovim_s_own = function() state.automatic_request = nil end
"""


def _milliseconds(editor: Neovim) -> list[float]:
    """From each key to the drawn ghost text."""
    editor.lua("_G.times = {}")
    editor.keys("<Esc>o")
    for _ in range(KEYS):
        before = editor.lua("return #_G.times")
        editor.keys("x")
        editor.wait(lambda before=before: editor.lua("return #_G.times") > before, "ghost text is drawn")
    return list(editor.lua("return _G.times"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.py"
        file.write_text("")
        with neovim(Path(sys.argv[1]), Path(folder) / "nvim", [sys.executable, "lsp"], file, init=FAKE) as editor:
            editor.ready()
            editor.lua(CLOCK)
            for name in ("the plugin's timer", "Neovim's timer"):
                times = _milliseconds(editor)
                editor.lua("_G.neovim_s_own()")
                sys.stdout.write(f"{name}: median {statistics.median(times):.1f} ms, p95 {statistics.quantiles(times, n=20)[-1]:.1f} ms\n")


if __name__ == "__main__":
    main()
