"""The commands about models: list, choose, download, check, remove, recommend, tune. The package `models` does the work.

File and driver access runs in a thread; long work has a progress bar and can be cancelled. A choice is saved once the new model is loaded: until
then, or if loading fails, the old model stays in use.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from infill import state
from infill.errors import ChecksumMismatch, InfillError, RequestError
from infill.lsp.background import Background
from infill.lsp.configuration import Configuration
from infill.lsp.messages import Messages
from infill.lsp.offer import choices
from infill.lsp.provision import LOCAL, Provision
from infill.lsp.work import Cancelled, LongWork, Report

if TYPE_CHECKING:
    from infill.models.checked import Checked
    from infill.models.store import Manifest

LEAVE_OLD_SECONDS = 15.0
"""Longest wait for running requests before a model that is no longer chosen is unloaded."""


class Argument(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=False):
    """A model, by its id."""

    model: str
    force: bool = False
    """For `removeModel`: remove it even if it is chosen."""
    agreed: bool = False
    """For `downloadModel`: the licence was already accepted."""


class SwitchArgument(msgspec.Struct, frozen=True):
    """The argument of `infill.switchModel`."""

    model: str
    provider: str = ""
    """The provider, if the id names none."""
    role: state.Role = "complete"
    scope: Literal["global", "workspace"] = "global"


class OptionalArgument(msgspec.Struct, frozen=True):
    """A model; empty: the current one."""

    model: str = ""
    reset: bool = False
    """For `tune`: delete the measured plan."""


class ModelCommands:
    """The commands about models."""

    def __init__(
        self,
        *,
        provision: Provision,
        configuration: Configuration,
        messages: Messages,
        work: LongWork,
        background: Background,
        folder: Callable[[], Path | None],
        settled: Callable[[float], Awaitable[None]],
        chosen: Callable[[], None],
        notify: Callable[[str, Any], None],
    ) -> None:
        self._provision = provision
        self._configuration = configuration
        self._messages = messages
        self._work = work
        self._background = background
        self._folder = folder
        self._settled = settled
        self._chosen = chosen
        """Called after another model was chosen."""
        self._notify = notify
        self._downloading: dict[str, float] = {}
        self._choosing = asyncio.Lock()
        """Held while a model is chosen or unloaded, so that a model chosen again is not unloaded."""
        self._one_at_a_time = asyncio.Lock()
        """A download that is requested again waits until the cancelled one has closed its files."""

    @property
    def _workspace(self) -> str | None:
        folder = self._folder()
        return str(folder) if folder else None

    async def models(self, argument: Any) -> dict[str, Any]:
        """All models of all configured providers."""
        offer = await choices(self._configuration.settings, self._workspace, await self._loaded(), self._downloading)
        return msgspec.structs.asdict(offer)

    async def switch(self, argument: SwitchArgument) -> dict[str, str]:
        """Choose a model. If a local model is in memory, the new one is loaded first; the old one answers until then."""
        model = argument.model if ":" in argument.model else f"{argument.provider or LOCAL}:{argument.model}"
        workspace = self._workspace_for(argument.scope)
        if not model.startswith(f"{LOCAL}:"):
            from infill.providers import named

            await named.check(model, self._configuration.settings)
        async with self._choosing:
            before = self._provision.model()
            if argument.role == "complete":
                await self._get_ready(model)
            model, remark = await asyncio.to_thread(self._remember, model, argument.role, workspace)
            self._chosen()
        if argument.role == "complete" and before != model and before.startswith(f"{LOCAL}:"):
            self._background.start(self._leave(before), "giving back a model's memory")
        problems = await asyncio.to_thread(_problems_of, model)
        words = self._told(model, argument), remark, problems
        return {"model": model, "message": " ".join(filter(None, words))}

    async def download(self, argument: Argument) -> dict[str, str]:
        """Download a model. Raises RequestError if it was cancelled; the downloaded part is kept."""
        from infill.models import catalog

        entry = await asyncio.to_thread(catalog.find, argument.model)
        if not entry.commercial and not argument.agreed:
            licence = f"{entry.title} may not be used commercially: its licence is {entry.licence} ({entry.licence_url})."
            if await self._messages.ask(f"{licence} Download it?", ["Download", "No"]) != "Download":
                raise RequestError(licence, "It is downloaded only after you accept it.")
        manifest = await self._fetch(argument.model)
        if manifest is None:
            raise RequestError(f"The download of {entry.title} was cancelled.", "What has arrived is kept: the next one continues.")
        self._begin_check(manifest.full_id)
        return {"model": manifest.full_id, "path": str(manifest.path)}

    async def remove(self, argument: Argument) -> dict[str, int]:
        from infill.models import store

        await self._unload(argument.model)
        manifest = await asyncio.to_thread(store.remove, argument.model, argument.force)
        self._list_changed(removed=[manifest.full_id])
        return {"freed": 0 if all(file.link for file in manifest.files) else manifest.size}

    async def verify(self, argument: Argument) -> dict[str, Any]:
        from infill.models import store

        def work(report: Report, cancelled: Cancelled) -> Manifest:
            return store.verify(argument.model, lambda done, total: report(done / max(1, total), ""))

        try:
            manifest = await self._work.run(f"infill: checking {argument.model}", work)
        except ChecksumMismatch as exc:
            return {"model": argument.model, "ok": False, "message": str(exc)}
        return {"model": manifest.full_id, "ok": True, "message": f"{manifest.full_id} is whole. {manifest.unproven}".rstrip()}

    async def check(self, argument: Argument) -> dict[str, Any]:
        """Test a model with small tasks; returns whether it works as expected."""
        found = await self._check(argument.model, background=False)
        if found is None:
            raise RequestError(f"The check of {argument.model} was cancelled.")
        sentence = " ".join([f"{argument.model}: {found.sentence or 'failed'}.", *found.problems])
        return {"model": argument.model, "ok": not found.problems, "message": sentence}

    async def _check(self, model: str, *, background: bool) -> Checked | None:
        from infill.models import checking

        engine = self._configuration.settings.engine

        def work(report: Report, cancelled: Cancelled) -> Checked | None:
            return checking.check(model, engine, report, cancelled, background=background)

        return await self._work.run(f"infill: checking {model.partition(':')[2] or model}", work)

    def _begin_check(self, model: str) -> None:
        """Check a newly downloaded model once, in the background."""
        from infill.models import checking

        if checking.is_due(model):
            self._background.start(self._check(model, background=True), "checking a model")

    async def load(self, argument: OptionalArgument) -> dict[str, str]:
        model = argument.model or self._provision.local_model()
        await self._provision.local.load(model)
        return {"model": model, "message": f"{model} is in memory."}

    async def unload(self, argument: OptionalArgument) -> dict[str, str]:
        await self._provision.local.unload(argument.model)
        return {"model": argument.model, "message": "The memory was given back."}

    async def recommend(self, argument: Any) -> dict[str, Any]:
        """The best model for this machine. Measures the machine for some seconds, unless that was done recently."""
        from infill.models import recommend

        engine = self._configuration.settings.engine
        found = await self._work.run("infill: measuring this machine", lambda report, cancelled: recommend.recommend(engine))
        offered = (await choices(self._configuration.settings, self._workspace, [], self._downloading)).models
        model = next((one for one in offered if one.id == found.id), None)
        return {"model": model, "reason": found.reason, "tokensPerSecond": found.tokens_per_second}

    async def hardware(self, argument: Any) -> dict[str, Any]:
        from infill.models import hardware

        machine = await asyncio.to_thread(hardware.machine, fresh=True)
        facts: dict[str, Any] = msgspec.to_builtins(machine)
        memory = {"total": machine.memory_total, "free": machine.memory_free}
        return facts | {"memory": memory, "summary": hardware.summary(machine)}

    async def tune(self, argument: OptionalArgument) -> dict[str, Any]:
        """Measure and save a model's best plan for this machine; with `reset`, delete it."""
        from infill.models import planning, tune

        model = argument.model or self._provision.local_model()
        if argument.reset:
            forgotten = await asyncio.to_thread(planning.forget, model)
            return {
                "plan": None,
                "table": [],
                "message": f"What was measured of {model} is forgotten." if forgotten else f"{model} was not measured.",
            }
        engine = self._configuration.settings.engine

        def work(report: Report, cancelled: Cancelled) -> tune.Outcome | None:
            return tune.tune(model, engine, report, cancelled)

        outcome = await self._work.run(f"infill: measuring {model}", work)
        if outcome is None:
            raise RequestError("The measuring was cancelled.")
        facts: dict[str, Any] = msgspec.to_builtins(outcome)
        return facts

    # ---- steps of the commands

    async def _loaded(self) -> list[str]:
        try:
            engine = await self._provision.local.status()
        except InfillError:
            return []
        return [model.model for model in engine.models] if engine is not None else []

    async def _get_ready(self, model: str) -> None:
        """Load the new model before it is chosen, if a model is in memory or `engine.preload` is on. Raises ModelError."""
        if not model.startswith(f"{LOCAL}:"):
            return
        if await self._loaded() or self._configuration.settings.engine.preload:
            await self._provision.local.load(model)

    def _remember(self, model: str, role: state.Role, workspace: str | None) -> tuple[str, str]:
        """Save the choice; returns the full id and a remark for the user."""
        from infill.models import listing
        from infill.providers import named

        chosen = listing.use(named.full_id(model, self._configuration.settings), role, workspace)
        return chosen, listing.remark(chosen, role)

    async def _leave(self, model: str) -> None:
        """Unload a model once its requests are answered, unless another window may use it."""
        await self._settled(LEAVE_OLD_SECONDS)
        async with self._choosing:
            engine = await self._provision.local.status()
            # with other windows open, the engine unloads idle models itself
            if engine is not None and len(engine.clients) == 1 and model != self._provision.model():
                await self._provision.local.unload(model)

    async def _unload(self, model: str) -> None:
        full_id = model if model.startswith(f"{LOCAL}:") else f"{LOCAL}:{model}"
        with contextlib.suppress(InfillError):
            if full_id in await self._loaded():
                await self._provision.local.unload(full_id)

    async def _fetch(self, model: str) -> Manifest | None:
        from infill.models import download
        from infill.privacy import network

        offline = network.is_offline(self._configuration.settings.privacy.offline)

        def work(report: Report, cancelled: Cancelled) -> Manifest | None:
            def progress(now: download.Progress) -> None:
                self._downloading[model] = now.share
                report(now.share, now.sentence)

            return download.fetch(model, progress, cancelled, offline=offline)

        self._downloading[model] = 0.0
        self._list_changed()
        manifest = None
        try:
            async with self._one_at_a_time:
                manifest = await self._work.run(f"infill: downloading {model.partition(':')[2] or model}", work)
        finally:
            self._downloading.pop(model, None)
            self._list_changed(added=[manifest.full_id] if manifest else [])
        return manifest

    def _list_changed(self, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
        """Tell the editor to read the list of models again."""
        self._notify("infill/modelsChanged", {"added": list(added), "removed": list(removed)})

    def _workspace_for(self, scope: str) -> str | None:
        if scope == "global":
            return None
        if self._workspace is None:
            raise RequestError("No folder is open, for which a model could be chosen.", 'Use the scope "global".')
        return self._workspace

    def _told(self, model: str, argument: SwitchArgument) -> str:
        models = self._configuration.settings.models
        setting = {"complete": models.complete, "generate": models.generate, "edit": models.edit}[argument.role]
        if setting and setting != model:
            return f"{model} is remembered, but the setting models.{argument.role} names {setting}, and settings win."
        where = "in this workspace" if argument.scope == "workspace" else "everywhere"
        return f"{model} is chosen {where}."


def _problems_of(model: str) -> str:
    """Problems that the last check of a local model found."""
    from infill.models import checking

    return checking.warning(model) if model.startswith(f"{LOCAL}:") else ""
