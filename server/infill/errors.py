"""All errors that users see, as one tree.

Each has a sentence for the user (`message`) and the next step (`hint`). Third-party errors are mapped to these once, where they are caught, with
`from exc`. Cancelled, superseded, late and empty answers are outcomes, not errors.

InfillError
|- SettingsError            names the setting, its value, what is allowed
|- RequestError             a request that cannot be served: bad arguments, no such document
|- ModelError
|  |- UnknownModel          no model has this id
|  |- ModelMissing          in the catalogue, but its file is not installed
|  |- DownloadFailed        partial files are kept for the next attempt
|  |- ChecksumMismatch      the downloaded file has another hash than published
|  |- DoesNotFit            too big for this machine
|  |- NotAChatModel         it has no chat template: it does not follow instructions
|  |- BadChatTemplate       its chat template is invalid, or refuses the conversation
|  `- BadModelFile          damaged, truncated, or not a GGUF file
`- ProviderError
   |- ProviderUnavailable   not reachable, not started, still loading   (status only)
   |- ProviderRefused       key, quota, unknown model                   (reported once)
   `- EngineCrashed         with its last lines and advice              (reported once, then restart)
      `- ComputationCrashed in llama.cpp, while it computed             (the next start uses plainer kernels)
"""

from __future__ import annotations


class InfillError(Exception):
    """Base class: `message` is a sentence for the user, `hint` the next step (may be empty)."""

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
    """True after a timeout: the provider is running, and may be loading its model or still generating."""


class ProviderRefused(ProviderError): ...


class EngineCrashed(ProviderError): ...


class ComputationCrashed(EngineCrashed): ...


def _tree(root: type[InfillError]) -> dict[str, type[InfillError]]:
    return {root.__name__: root} | {name: kind for sub in root.__subclasses__() for name, kind in _tree(sub).items()}


BY_NAME = _tree(InfillError)
"""Class name -> class, to decode errors in the engine's protocol."""
