"""The command that builds llama.cpp for this machine. `engine.build` does the work, in a thread."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec

from infill.errors import RequestError
from infill.llama_package import INDEX
from infill.lsp.work import Cancelled, LongWork, Report


class BuildArgument(msgspec.Struct, frozen=True, rename="camel"):
    """The argument of `infill.build`."""

    backend: Literal["auto", "cpu", "cuda", "metal", "vulkan", "hip"] = "auto"
    dry_run: bool = False
    """Only report what would be built and which tools are missing."""
    prebuilt: bool = False
    """Install a prebuilt wheel that runs on this machine; compile only if there is none."""


class Building:
    """`infill.build`."""

    def __init__(self, work: LongWork) -> None:
        self._work = work

    async def build(self, argument: BuildArgument) -> dict[str, Any]:
        """Build and check llama.cpp, and switch to it from the engine's next start."""
        from infill.engine import build
        from infill.models import hardware

        def find() -> build.BuildPlan:
            machine = hardware.machine(fresh=True)
            return build.plan(argument.backend, build.find_tools(machine), machine)

        wanted = await asyncio.to_thread(find)
        facts = {"backend": wanted.backend, "flags": wanted.flags, "missing": wanted.missing, "built": False, "message": " ".join(wanted.reasons)}
        if argument.dry_run:
            return facts

        def work(report: Report, cancelled: Cancelled) -> bool:
            return build.build(wanted, report, cancelled, index=INDEX if argument.prebuilt else "") is not None

        if not await self._work.run(f"infill: building for {wanted.backend}", work):
            raise RequestError("The build was cancelled.")
        said = f"llama.cpp for {wanted.backend} is ready and checked. The engine uses it from its next start."
        return {**facts, "built": True, "message": said}
