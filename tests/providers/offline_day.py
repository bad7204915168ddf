# ruff: noqa: T201 (a program, whose one job is to tell what it did)
"""A day with infill while it is offline: every verb and every LSP command, with remote providers set up. Run as a program by test_offline.

Prints one line for each thing done; what must not happen is looked for outside, in what the kernel saw.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from api_peers import LlamaServer
from http_peer import Peer
from small_editor import Editor

from infill.cli import VERBS

WORK = Path(sys.argv[1])
FAR = "https://api.openai.com/v1"
VERBS_OF_MODELS = (
    ("list",),
    ("available",),
    ("recommend",),
    ("download", "qwen2.5-coder-0.5b-q8_0"),
    ("download", "ggml-org/Qwen2.5-Coder-0.5B-Q8_0-GGUF:x.gguf"),
)


async def infill(*arguments: str, given: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infill", *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=WORK
    )
    out, _ = await asyncio.wait_for(process.communicate(given.encode()), 180)
    print("did", " ".join(arguments), "->", process.returncode, out.decode("utf-8", "replace")[:300].replace("\n", " | "), flush=True)
    return out.decode("utf-8", "replace")


async def edit(file: Path) -> None:
    editor = Editor()
    server = await editor.start(WORK)
    editor.open(file)
    place = {"textDocument": {"uri": file.as_uri()}, "position": {"line": 1, "character": 11}, "context": {"triggerKind": 1}}
    print("did inlineCompletion ->", str(await editor.ask("textDocument/inlineCompletion", place))[:200], flush=True)
    arguments: dict[str, Any] = {
        "infill.generate": {"uri": file.as_uri(), "position": place["position"], "instruction": "add"},
        "infill.switchModel": {"model": "openai:far/m"},
        "infill.downloadModel": {"model": "qwen2.5-coder-0.5b-q8_0"},
        "infill.didAccept": "none",
    }
    for command in sorted(server["capabilities"].get("executeCommandProvider", {}).get("commands", [])):
        if command not in {"infill.build", "infill.tune"}:
            result = await editor.ask(
                "workspace/executeCommand", {"command": command, "arguments": [arguments[command]] if command in arguments else []}
            )
            print("did", command, "->", str(result)[:160], flush=True)
    print("did inlineCompletion ->", str(await editor.ask("textDocument/inlineCompletion", place))[:200], flush=True)
    await editor.leave()


async def main() -> None:
    config = WORK / "home" / "config"
    config.mkdir(parents=True)
    file = WORK / "add.py"
    file.write_text("def add(a, b):\n    return \n")
    async with Peer(LlamaServer()) as peer:
        for order in (["openai:far", "llamacpp:near", "local"], ["openai:far", "local"]):
            remote = f'[providers.remote.far]\nkind = "openai"\nurl = "{FAR}"\nfamily = "qwen"\nmodel = "m"\n[providers.remote.near]\nkind = "llamacpp"\nurl = "{peer.url}"\n'
            (config / "settings.toml").write_text(f"[privacy]\noffline = true\n[providers]\norder = {json.dumps(order)}\n{remote}")
            answer = await infill("complete", f"{file}:2:12", "--json")
            print("answered by", json.loads(answer)["provider"], flush=True)
        await infill("providers", "list", "--models")
        await infill("providers", "test")
        await infill("generate", "add two numbers", "--file", f"{file}:2:12")
        await infill("doctor")
        for words in VERBS_OF_MODELS if "models" in VERBS else ():
            await infill("models", *words)
        await edit(file)
        await infill("engine", "stop")


asyncio.run(main())
