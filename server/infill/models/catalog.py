"""The models that can be chosen: the shipped catalogue and the user's own. Reads two TOML files; does not use the network.

An invalid entry is left out and reported in a sentence; the others stay. The user's entry replaces a shipped one with the same id.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from infill import paths
from infill.errors import UnknownModel
from infill.models.edit_format import EditFormat
from infill.models.gguf import Facts
from infill.state import BUNDLED, Role

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "local:"
"""Full ids contain the provider: `local:qwen2.5-coder-1.5b-q8_0`; file and folder names omit it."""
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
QUANTIZATION = re.compile(r"(?i)(?:^|[-._])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_0|BF16|F16|F32|MXFP4))(?=[-._]|$)")
BITS = {
    "q2": 3.0,
    "q3": 3.9,
    "q4": 4.9,
    "q5": 5.7,
    "q6": 6.6,
    "q8": 8.5,
    "f16": 16.0,
    "bf16": 16.0,
    "f32": 32.0,
    "iq1": 2.0,
    "iq2": 2.7,
    "iq3": 3.5,
    "iq4": 4.5,
}
"""Bits per weight of whole files, to estimate unpublished sizes."""
REARRANGED_SHARE = 0.8
"""Share of a q4 file's layers with a type that is rearranged on some processors."""


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One file of a repository. Unknown values are left out, never guessed."""

    name: Annotated[str, Meta(min_length=1)]
    """Its path in the repository. `*` is a wildcard where the exact name is unknown (the hub resolves it)."""
    size: Annotated[int, Meta(ge=1)] | None = None
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] = ""


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Published dimensions of a model: enough to tell whether it fits before it is downloaded."""

    layers: Annotated[int, Meta(ge=1)]
    embedding: Annotated[int, Meta(ge=1)]
    feed_forward: Annotated[int, Meta(ge=1)]
    heads: Annotated[int, Meta(ge=1)]
    kv_width: Annotated[int, Meta(ge=1)]
    """Numbers cached per token and layer: keys and values together."""
    vocabulary: Annotated[int, Meta(ge=1)]
    tied: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One model in one quantization."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    title: str = ""
    family: str = ""
    parameters: Annotated[float, Meta(ge=0)] = 0.0
    """In billions."""
    active_parameters: Annotated[float, Meta(ge=0)] = 0.0
    """Parameters used for one token in a mixture of experts, in billions."""
    quantization: str = ""
    repository: Annotated[str, Meta(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    revision: Annotated[str, Meta(pattern=r"^[0-9a-f]{40}$")] | None = None
    """The pinned commit; unset: the newest at the first download, which is then recorded."""
    files: tuple[File, ...] = ()
    path: str = ""
    """A file on this machine, instead of a repository."""
    source: Annotated[str, Meta(pattern=r"^[\w.-]+/[\w.-]+:.+$")] | None = None
    """Short for `repository` and one of `files`: `owner/name:file.gguf`, or `owner/name:Q4_K_M`."""
    about: Annotated[int, Meta(ge=1)] | None = None
    """Rounded published size in bytes, where the exact one is unknown."""
    licence: str = ""
    licence_url: str = ""
    commercial: bool = True
    """False: not for commercial use. The user is warned before a download, and it is never recommended."""
    context: Annotated[int, Meta(ge=0)] = 0
    roles: tuple[Role, ...] = ("complete",)
    languages: tuple[str, ...] = ()
    """Empty: many languages."""
    fim_order: Literal["", "psm", "spm"] = ""
    edit_format: EditFormat | Literal[""] = ""
    """The prompt format of a next-edit model; empty: from the file."""
    quality: Annotated[int, Meta(ge=0, le=100)] = 0
    """Rank for recommendations: higher is better. 0: never recommended."""
    notes: str = ""
    shape: Shape | None = None

    @property
    def full_id(self) -> str:
        return PREFIX + self.id

    @property
    def size(self) -> int:
        """Bytes of all files: exact where known, else as published; 0 where unknown."""
        sizes = [file.size for file in self.files]
        return sum(size for size in sizes if size) if sizes and all(sizes) else self.about or 0


class Catalogue(msgspec.Struct, frozen=True):
    """All entries by id, and a sentence for each invalid one."""

    entries: dict[str, Entry]
    problems: tuple[str, ...] = ()


def load() -> Catalogue:
    """The shipped catalogue, with the user's entries replacing those of the same id. Never raises: `problems` lists what is invalid."""
    problems: list[str] = []
    entries = {entry.id: entry for file in (paths.catalogue(), own_file()) for entry in _entries(file, problems)}
    return Catalogue(entries, tuple(problems))


def own_file() -> Path:
    """The file for the user's own catalogue."""
    return paths.config_directory() / "models.toml"


def find(name: str) -> Entry:
    """An entry by its id, with or without `local:`, or a new one for `owner/repository:file`. Raises UnknownModel."""
    if (wanted := short(name)) in (entries := load().entries):
        return entries[wanted]
    if made := from_hub(name):
        return made
    raise UnknownModel(f"No model goes by the name {name!r}.", meant(name, entries) or "`infill models available` shows the catalogue.")


def meant(name: str, ids: Iterable[str]) -> str:
    """A "Did you mean" question with the ids nearest to a name; empty if none is near."""
    import difflib

    wanted, known = short(name).lower(), sorted(set(ids))
    holding = [each for each in known if len(wanted) > 1 and wanted in each]
    near = holding or difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(each if ':' in each else PREFIX + each for each in near[:3])}?" if near else ""


def expected(entry: Entry) -> Facts | None:
    """The expected facts of the file, from published numbers; None where its size is unknown."""
    bits = next((value for name, value in BITS.items() if entry.quantization.startswith(name)), 0.0)
    size = entry.size or int(entry.parameters * 1e9 * bits / 8)
    if not size:
        return None
    shape = entry.shape or _typical(entry.parameters)
    embeddings = int(shape.vocabulary * shape.embedding * max(bits, 6.5 if entry.parameters < 2 else 4.5) / 8)
    layer = max(0, size - embeddings * (1 if shape.tied else 2)) // shape.layers
    rearranged = REARRANGED_SHARE if entry.quantization.startswith("q4") else 0.0
    return Facts(
        architecture=entry.family,
        name=entry.title,
        quantization=entry.quantization,
        parameters=int(entry.parameters * 1e9),
        file_bytes=size,
        layers=shape.layers,
        layer_bytes=(layer,) * shape.layers,
        input_bytes=embeddings,
        output_bytes=embeddings,
        tied=shape.tied,
        embedding=shape.embedding,
        feed_forward=shape.feed_forward,
        heads=shape.heads,
        kv_widths=(shape.kv_width,) * shape.layers,
        vocabulary=shape.vocabulary,
        context=entry.context,
        active_share=entry.active_parameters / entry.parameters if entry.active_parameters else 1.0,
        fim="complete" in entry.roles,
        chat="generate" in entry.roles,
        edit_format=entry.edit_format,
        by_type={"q4_k": int(layer * shape.layers * rearranged)} if rearranged else {},
    )


def _typical(parameters: float) -> Shape:
    """Typical dimensions for a model without published ones: on the large side for its size."""
    layers = 28 if parameters < 3.5 else 36 if parameters < 10 else 48
    width = max(512, round((parameters * 1e9 / 12 / layers) ** 0.5 / 128) * 128)
    return Shape(
        layers=layers,
        embedding=width,
        feed_forward=width * 4,
        heads=max(4, width // 128),
        kv_width=2048 if parameters > 3.5 else 1024,
        vocabulary=151_936,
    )


def short(model_id: str) -> str:
    """An id without `local:`, as in file and folder names."""
    return model_id.removeprefix(PREFIX)


def make_id(text: str) -> str:
    """An id derived from a file's name."""
    whole = re.sub(r"-\d{5}-of-\d{5}$", "", text.lower().removesuffix(".gguf"))
    cleaned = re.sub(r"[^a-z0-9._-]+", "-", whole).strip("-._")[:100] or "model"
    return f"{cleaned}-file" if PREFIX + cleaned == BUNDLED else cleaned


def quantization_of(name: str) -> str:
    """The quantization in a file's name, in lower case; empty where it has none."""
    found = QUANTIZATION.search(re.sub(r"(?i)\.gguf$", "", name))
    return found[1].lower() if found else ""


def from_hub(name: str) -> Entry | None:
    """An entry for `owner/repository:file.gguf` or `owner/repository:Q4_K_M`; None where the name has another form."""
    found = re.fullmatch(r"(?:hf:|https://huggingface\.co/)?([\w.-]+/([\w.-]+)):([^\s]+)", name)
    if not found:
        return None
    repository, stem, wanted = found.groups()
    file = wanted if wanted.lower().endswith(".gguf") else f"*{wanted}*.gguf"
    called = Path(file).stem if "*" not in file else f"{re.sub('(?i)-gguf$', '', stem)}-{wanted.strip('*')}"
    return Entry(
        id=make_id(called),
        title=called,
        quantization=quantization_of(called),
        repository=repository,
        files=(File(name=file),),
        licence="see its page on the hub",
        licence_url=f"https://huggingface.co/{repository}",
    )


def _entries(file: Path, problems: list[str]) -> list[Entry]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        problems.append(f"{file} cannot be read: {exc}.")
        return []
    listed = tables.pop("model", [])
    problems += [f"{file}: `{name}` means nothing here; models are written as [[model]]." for name in tables]
    if not isinstance(listed, list):
        problems.append(f"{file}: models are written as [[model]], with double brackets.")
        return []
    return [entry for number, table in enumerate(listed, 1) if (entry := _entry(file, number, table, problems))]


def _entry(file: Path, number: int, table: dict[str, Any], problems: list[str]) -> Entry | None:
    called = f"{file}, model {number} ({table.get('id', 'without id')})"
    try:
        entry = msgspec.convert(table, Entry)
    except msgspec.ValidationError as exc:
        problems.append(f"{called}: {exc}.")
        return None
    if entry.source and (made := from_hub(entry.source)):
        entry = msgspec.structs.replace(entry, repository=made.repository, files=made.files, source=None)
    if bool(entry.path) == bool(entry.repository and entry.files):
        problems.append(f"{called}: it needs either `path`, or `source`, or `repository` and `files`.")
        return None
    filled = {"title": entry.title or entry.id, "licence": entry.licence or "not stated"}
    return msgspec.structs.replace(entry, **filled)
