"""Drives a real, headless Neovim over its own MessagePack-RPC socket: keys in, buffer, ghost text and screen out."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from eager import show_everything

CLIENT = Path(__file__).parents[2] / "clients" / "nvim"
BY_HAND = f"vim.opt.runtimepath:prepend([[{CLIENT}]]) vim.lsp.enable('infill')"
"""How tests load the plugin, unless they are about plugin managers."""
FAKE = f"vim.o.autoindent = false vim.cmd('filetype indent off') dofile([[{Path(__file__).with_name('nvim_fake.lua')}]])"
"""Lines of an `init.lua`: a server inside Neovim instead of a real one."""
PATIENCE = 90.0
"""Seconds: far beyond what anything takes, on a busy machine too. Only a failure waits so long."""
QUITTING = 20.0
"""Seconds. Nothing is asserted of quitting."""
GHOST = """
local ns = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
local mark = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1]
if not mark then return '' end
-- Neovim leaves an outdated item standing where it was until the next answer: that is no suggestion for this place
local row, col = unpack(vim.api.nvim_win_get_cursor(0))
if mark[2] ~= row - 1 or mark[3] < col then return '' end
local lines = {}
for _, chunk in ipairs(mark[4].virt_text or {}) do lines[#lines + 1] = chunk[1] end
local text = table.concat(lines)
for _, line in ipairs(mark[4].virt_lines or {}) do
  text = text .. '\\n'
  for _, chunk in ipairs(line) do text = text .. chunk[1] end
end
return text
"""
# the same, once nothing that was requested can change it any more
SETTLED = (
    """
local state = require('vim.lsp._capability').all.inline_completion.active[vim.api.nvim_get_current_buf()]
if state and state.timer and not state.timer:is_closing() then return '' end
for _, client in ipairs(vim.lsp.get_clients({ bufnr = 0 })) do
  for _, request in pairs(client.requests) do
    if request.type == 'pending' and request.method == 'textDocument/inlineCompletion' then return '' end
  end
end
"""
    + GHOST
)
# counts what was written, so that a test can wait for it
WRITES = "_G.writes = 0 vim.api.nvim_create_autocmd('BufWritePost', { callback = function() _G.writes = _G.writes + 1 end })"


class Neovim:
    """One Neovim with the plugin from this checkout; everything it writes stays below `home`."""

    def __init__(
        self, program: Path, home: Path, server: list[str], *files: Path, init: str = "", extra: dict[str, str] | None = None, plugin: str = BY_HAND
    ) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        show_everything(home / "infill")
        script = home / "init.lua"
        command = ", ".join(f"[[{word}]]" for word in server)
        script.write_text(f"vim.g.infill = vim.g.infill or {{ cmd = {{ {command} }} }}\nvim.o.swapfile = false\n{WRITES}\n{init}\n{plugin}\n")
        self._socket_path = home / "nvim.sock"
        environment = os.environ | {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("STATE", "CONFIG", "DATA", "CACHE")}
        self.log = (home / "nvim.log").open("wb")
        # a plugin manager installs into the user's folders, which --clean leaves out
        clean = ["--clean"] if plugin == BY_HAND else []
        self.process = subprocess.Popen(
            [str(program), "--headless", "--listen", str(self._socket_path), *clean, "-u", str(script), *map(str, files)],
            # offline, unless a test has a hub: then a new user is not asked whether to download a better model
            env=environment | {"HOME": str(home), "INFILL_HOME": str(home / "infill")} | ({"HF_HUB_OFFLINE": "1"} if extra is None else extra),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        self._buffer, self._next = b"", 0
        self._socket = self._connect()

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + PATIENCE
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._socket_path))
            except OSError:
                connection.close()
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                connection.settimeout(2 * PATIENCE)
                return connection

    def call(self, method: str, *arguments: Any) -> Any:
        """One API call; raises RuntimeError with Neovim's own words."""
        self._next += 1
        self._socket.sendall(msgspec.msgpack.encode([0, self._next, method, list(arguments)]))
        while True:
            message = self._receive()
            if message[0] == 1 and message[1] == self._next:
                if message[2] is not None:
                    raise RuntimeError(f"{method}: {message[2]}")
                return message[3]

    def _receive(self) -> list[Any]:
        while True:
            with contextlib.suppress(msgspec.DecodeError):
                # one reply at a time: no call is made before the last one is answered
                message: list[Any] = msgspec.msgpack.decode(self._buffer, ext_hook=lambda _code, data: bytes(data))
                self._buffer = b""
                return message
            self._buffer += self._socket.recv(1 << 20)

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.call("nvim_exec_lua", code, list(arguments))

    def keys(self, keys: str) -> None:
        """Type as a person would: mappings and abbreviations apply."""
        self.call("nvim_input", keys)

    def wait(self, what: Callable[[], Any], sentence: str, seconds: float = PATIENCE) -> Any:
        """Poll until `what()` is true; fails with the sentence and Neovim's messages."""
        deadline = time.monotonic() + seconds
        while not (value := what()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {sentence}\n{self.messages()}\n{self.text!r} ghost={self.ghost!r}")
            time.sleep(0.02)
        return value

    def messages(self) -> str:
        return str(self.call("nvim_exec2", "messages", {"output": True}).get("output", ""))

    @property
    def text(self) -> str:
        return "\n".join(self.call("nvim_buf_get_lines", 0, 0, -1, False))

    @property
    def ghost(self) -> str:
        """The grey text at the cursor; empty: none."""
        return str(self.lua(GHOST))

    def ready(self) -> None:
        """Wait until the server is attached to the current buffer."""
        self.wait(lambda: self.lua("return #vim.lsp.get_clients({ bufnr = 0, method = 'textDocument/inlineCompletion' })"), "the server is attached")

    def type_and_see(self, keys: str) -> str:
        self.keys(keys)
        return str(self.wait(lambda: self.lua(SETTLED), f"ghost text after {keys!r}"))

    def reads(self, text: str) -> None:
        """Wait until this is the whole text: what is in the buffer, not what is shown."""
        self.wait(lambda: self.text == text, f"the text is {text!r}")

    def saved(self) -> str:
        """Write as a person does, and read what is in the file then."""
        before = self.lua("return _G.writes")
        self.keys("<Esc>:write<CR>")
        self.wait(lambda: self.lua("return _G.writes") > before, "the file is saved")
        return Path(self.lua("return vim.api.nvim_buf_get_name(0)")).read_text()

    def close(self) -> None:
        """Quit as a person does. What it asks for on the way, such as Enter, is not answered: then it is killed."""
        with contextlib.suppress(OSError):
            self._socket.sendall(msgspec.msgpack.encode([2, "nvim_command", ["qall!"]]))
        try:
            self.process.wait(QUITTING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # not before: what it has not read yet from a closed connection it never does
        self._socket.close()
        self.log.close()


@contextlib.contextmanager
def neovim(
    program: Path, home: Path, server: list[str], *files: Path, init: str = "", extra: dict[str, str] | None = None, plugin: str = BY_HAND
) -> Iterator[Neovim]:
    """A Neovim for a test; its engine, which by design would outlive it for a while, is stopped too."""
    editor = Neovim(program, home, server, *files, init=init, extra=extra, plugin=plugin)
    try:
        yield editor
    finally:
        editor.close()
        environment = os.environ | {"INFILL_HOME": str(home / "infill")}
        if Path(server[0]).name.startswith("infill") and shutil.which(server[0]):
            subprocess.run([server[0], "engine", "stop"], env=environment, capture_output=True, check=False)
