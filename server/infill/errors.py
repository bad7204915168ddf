"""Every error that a user can meet, as one tree.

Each carries a sentence in the user's words (`message`) and the next step (`hint`). Foreign errors are mapped to these once, at the border where
they enter, with `from exc`. Cancelled, stale, too slow and "nothing to say" are outcomes, never errors.

    InfillError
    |- SettingsError            names the setting, its value, what is allowed
    |- RequestError             a request that cannot be served: bad arguments, no such document
    |- ModelError
    |  |- UnknownModel          no model goes by this id
    |  |- ModelMissing          known, but its file is not here
    |  |- DownloadFailed        not transferred; what has arrived is kept for the next try
    |  |- ChecksumMismatch      what arrived is not what was promised
    |  |- DoesNotFit            too big for this machine
    |  |- NotAChatModel         it has no chat template: it does not follow instructions
    |  |- BadChatTemplate       its chat template is invalid, or refuses the conversation
    |  `- BadModelFile          damaged, cut short, or no GGUF at all
    `- ProviderError
       |- ProviderUnavailable   not reachable, not started, still loading   (quiet, status only)
       |- ProviderRefused       key, quota, unknown model                   (told once)
       `- EngineCrashed         with its last lines and advice              (told once, then restart)
          `- ComputationCrashed in llama.cpp, while it computed             (the next start uses plainer kernels)
"""

from __future__ import annotations


class InfillError(Exception):
    """Base of all: `message` is a sentence for the user, `hint` the next step (may be empty)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class SettingsError(InfillError): ...


class RequestError(InfillError): ...


class ModelError(InfillError): ...


class UnknownModel(ModelError): ...


class ModelMissing(ModelError): ...


class DownloadFailed(ModelError): ...


class ChecksumMismatch(ModelError): ...


class DoesNotFit(ModelError): ...


class NotAChatModel(ModelError): ...


class BadChatTemplate(ModelError): ...


class BadModelFile(ModelError): ...


class ProviderError(InfillError): ...


class ProviderUnavailable(ProviderError):
    slow = False
    """True where a deadline passed: the provider is there, and may be loading its model or still writing."""


class ProviderRefused(ProviderError): ...


class EngineCrashed(ProviderError): ...


class ComputationCrashed(EngineCrashed): ...


def _tree(root: type[InfillError]) -> dict[str, type[InfillError]]:
    return {root.__name__: root} | {name: kind for sub in root.__subclasses__() for name, kind in _tree(sub).items()}


BY_NAME = _tree(InfillError)
"""Class name -> class: how an error crosses the engine's wire."""
