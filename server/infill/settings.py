"""Every setting, defined once: name, type, default, description and limits. Validation, editors' configuration and docs/settings.md are based on it.

Reads no file and is independent of editors. `resolve` never raises: a wrong value is reported in a sentence and replaced by its default.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_origin

import msgspec
from msgspec import Meta

from infill.validation import allowed, shown, wrong_address, wrong_header, wrong_value

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A group of settings: camelCase in JSON, snake_case in Python."""


class Completion(Section, frozen=True):
    """Suggestions while typing."""

    popup: Annotated[
        Literal["auto", "always", "never"],
        Meta(description="Offer the suggestion in the ordinary completion list too: `auto` only where the editor has no ghost text."),
    ] = "auto"
    max_tokens: Annotated[int, Meta(ge=1, le=1024, description="Longest suggestion, in tokens.")] = 64
    automatic: Annotated[bool, Meta(description="Suggest while typing. When off, suggestions come only by request.")] = True
    pause_on_battery: Annotated[bool, Meta(description="Suggest only by request while this machine runs on battery.")] = False
    multiline: Annotated[bool, Meta(description="Suggest more than the rest of the line.")] = True
    candidates: Annotated[int, Meta(ge=1, le=3, description="How many different suggestions an explicit request brings.")] = 3
    debounce_ms: Annotated[
        Annotated[int, Meta(ge=0, le=5000)] | None,
        Meta(description="Milliseconds to wait after a key before asking; unset: adapted to your typing and to the model's speed."),
    ] = None
    deadline_ms: Annotated[int, Meta(ge=100, le=120_000, description="A completion that takes longer than this is given up.")] = 10_000
    temperature: Annotated[float, Meta(ge=0, le=2, description="0 takes the likeliest token each time.")] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1, description="Sample among the likeliest tokens that together have this probability.")] = 1.0
    min_p: Annotated[float, Meta(ge=0, le=1, description="Leave out tokens less likely than this share of the likeliest one.")] = 0.0
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1, description="Seed of the sampling.")] = 0
    eagerness: Annotated[
        Literal["low", "medium", "high"],
        Meta(
            description="How likely a suggestion has to be right to be shown while typing: `low` shows few, `high` shows all. "
            "Requests by key are always answered."
        ),
    ] = "medium"


class Engine(Section, frozen=True):
    """The process that runs the local model."""

    idle_minutes: Annotated[float, Meta(ge=0, description="Unload the model after this many minutes without a request; 0 keeps it.")] = 10.0
    preload: Annotated[bool, Meta(description="Load the model when the editor starts rather than at the first completion.")] = False
    threads: Annotated[Positive | None, Meta(description="Threads for the model; unset: fitted to this machine.")] = None
    context_size: Annotated[
        Annotated[int, Meta(ge=512)] | None, Meta(description="Tokens of the shared KV cache; unset: fitted to this machine.")
    ] = None
    batch_size: Annotated[
        Annotated[int, Meta(ge=32, le=8192)] | None, Meta(description="Tokens evaluated in one batch; unset: fitted to this machine.")
    ] = None
    gpu_layers: Annotated[Count | None, Meta(description="Layers on the GPU; unset: as many as fit.")] = None
    flash_attention: Annotated[bool | None, Meta(description="Flash attention; unset: as llama.cpp sees fit.")] = None
    kv_type: Annotated[Literal["f16", "q8_0", "q4_0"] | None, Meta(description="Precision of the KV cache; unset: f16.")] = None
    warm: Annotated[bool, Meta(description="Evaluate a document's prompt in the background before a completion is asked for.")] = True
    go_on: Annotated[
        bool, Meta(description="Let an answer go on in the background after its first line is shown; off: one line is suggested while you type.")
    ] = True
    prefetch: Annotated[bool, Meta(description="Compute ahead what follows once a suggestion is accepted.")] = True
    refresh: Annotated[bool, Meta(description="Evaluate a suffix again after it was moved often in the KV cache, while no request waits.")] = True
    speculate: Annotated[bool, Meta(description="Draft tokens from the document itself (prompt lookup) and verify them in one batch.")] = True
    save_slots: Annotated[bool, Meta(description="Keep evaluated documents on disk across unloading. They hold what your code says.")] = False


class Latency(Section, frozen=True):
    """Target for the response time of suggestions."""

    target: Annotated[
        int, Meta(ge=50, le=10_000, description="Milliseconds to the first line on a warm document; the window of code is made to suit.")
    ] = 400


class Models(Section, frozen=True):
    """Which models are used, and which folders are searched for models."""

    folders: Annotated[list[str], Meta(description="Folders of *.gguf files to offer; watched.")] = []
    complete: Annotated[str, Meta(description="Model for completions, such as `local:qwen2.5-coder-1.5b-q8_0`; unset: the one last chosen.")] = ""
    generate: Annotated[str, Meta(description="Model for generated code; unset: the one last chosen, else the one for completions.")] = ""
    edit: Annotated[
        str, Meta(description="Local model for next edits, such as `local:sweep-next-edit-0.5b-q8_0`; unset: the one last chosen, else rules alone.")
    ] = ""


class Endpoint(Section, frozen=True):
    """One remote provider, named by its key in `providers.remote`."""

    kind: Annotated[Literal["llamacpp", "ollama", "openai", "mistral"], Meta(description="What speaks there.")]
    url: Annotated[str, Meta(description="Where it listens, such as `http://127.0.0.1:8012`.")] = ""
    model: Annotated[str, Meta(description="The model's name over there.")] = ""
    family: Annotated[str, Meta(description="Whose fill-in-the-middle tokens it has (`qwen`, `starcoder`, ...); unset: as the server says.")] = ""
    key_variable: Annotated[str, Meta(description="Environment variable that holds the key; unset: the keyring (`infill providers login`).")] = ""
    key_file: Annotated[str, Meta(description="File with the key, readable by its owner alone.")] = ""
    headers: Annotated[dict[str, str], Meta(description="More HTTP headers.")] = {}
    ca_file: Annotated[str, Meta(description="Certificates to trust beside the system's.")] = ""
    timeout_ms: Annotated[int, Meta(ge=100, le=120_000, description="Longest wait for a completion from here.")] = 5_000
    keep_alive: Annotated[
        str, Meta(description="How long Ollama keeps the model in memory after an answer, such as `30m`; unset: as Ollama itself is set.")
    ] = ""
    max_requests_per_minute: Annotated[Count, Meta(description="0: no limit.")] = 0


class Providers(Section, frozen=True):
    """Providers, and the order in which they are tried."""

    order: Annotated[list[str], Meta(description="`local`, or `kind:name` of an entry in `remote`; the first that can answer does.")] = msgspec.field(
        default_factory=lambda: ["local"]
    )
    remote: Annotated[dict[str, Endpoint], Meta(description="Remote providers by name.")] = {}
    hedge_ms: Annotated[Count, Meta(description="Ask the next provider too when the first is silent for this long; 0: never.")] = 0


class Privacy(Section, frozen=True):
    """What may be sent to other machines, and which files are never read."""

    offline: Annotated[bool, Meta(description="Try no connection but to this machine itself, downloads included.")] = False
    exclude: Annotated[list[str], Meta(description="More patterns (as in .gitignore) of files never to be read.")] = []
    max_file_kilobytes: Annotated[Positive, Meta(description="Files larger than this are never read as context.")] = 512


class Context(Section, frozen=True):
    """Workspace text that a prompt contains in addition to the current file."""

    index: Annotated[
        bool,
        Meta(description="Index the definitions in the workspace in the background; prompts do not use the index yet."),
    ] = False


class Generate(Section, frozen=True):
    """Code generation from an instruction."""

    max_tokens: Annotated[int, Meta(ge=1, le=32_768, description="Longest generated code, in tokens.")] = 1024
    temperature: Annotated[float, Meta(ge=0, le=2, description="0 takes the likeliest token each time.")] = 0.0
    deadline_ms: Annotated[int, Meta(ge=1000, le=3_600_000, description="A generation that takes longer than this is ended where it is.")] = 300_000
    thinking: Annotated[
        bool,
        Meta(description="Let models that can reason do so before they write; slower, and `maxTokens` includes the reasoning."),
    ] = False


class NextEdit(Section, frozen=True):
    """Suggestions of further edits, after an edit."""

    mode: Annotated[
        Literal["off", "hint", "full"],
        Meta(description="`full` shows the next edit in the text, `hint` only a mark at the end of its line, `off` suggests none."),
    ] = "hint"
    eagerness: Annotated[
        Literal["low", "medium", "high"],
        Meta(description="`low` suggests what follows from a changed definition, `medium` also repeats edits, `high` also after one example."),
    ] = "medium"


class Settings(Section, frozen=True):
    """All settings."""

    log_level: Annotated[
        Literal["error", "warning", "info", "debug"], Meta(description="How much is written to the log file: never your code, only what was done.")
    ] = "info"
    enabled: Annotated[bool, Meta(description="Off: nothing is loaded, nothing is sent, nothing is suggested.")] = True
    languages: Annotated[dict[str, bool], Meta(description='Per language identifier: on or off, such as `{"markdown": false}`.')] = {}
    exclude: Annotated[list[str], Meta(description="Patterns (as in .gitignore) of files in which nothing is suggested.")] = []
    completion: Completion = Completion()
    engine: Engine = Engine()
    latency: Latency = Latency()
    models: Models = Models()
    providers: Providers = Providers()
    privacy: Privacy = Privacy()
    context: Context = Context()
    generate: Generate = Generate()
    next_edit: NextEdit = NextEdit()


CAREFUL = 0.5
"""`eagerness` is low from this value of the replaced `completion.minConfidence` on."""
WORKSPACE_MAY_SET = frozenset(
    {"enabled", "languages", "exclude", "completion", "latency", "models.complete", "models.generate", "privacy.exclude", "generate", "nextEdit"}
)
"""Settings that a cloned repository may change: never endpoints, keys, headers, files, commands or paths."""


def resolve(options: Any) -> tuple[Settings, list[str]]:
    """Settings from a client's options (camelCase JSON), and a sentence for each ignored value."""
    problems: list[str] = []
    if options is None:
        return Settings(), problems
    if not isinstance(options, dict):
        return Settings(), [f"The settings of infill must be an object, not {type(options).__name__}; the defaults are used."]
    return _section(Settings, options, "infill", problems), problems


def _section(kind: type[Any], options: dict[str, Any], path: str, problems: list[str]) -> Any:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name, value in _current(options, path, problems).items():
        field = fields.get(name)
        if field is None:
            problems.append(f"There is no setting {path}.{name}.")
        elif isinstance(field.type, type) and issubclass(field.type, Section) and isinstance(value, dict):
            values[field.name] = _section(field.type, value, f"{path}.{name}", problems)
        elif field.name == "remote" and isinstance(value, dict):
            values[field.name] = _endpoints(value, f"{path}.{name}", problems)
        else:
            kept = _without_wrong_parts(value, field.type, f"{path}.{name}", problems)
            if (wrong := wrong_value(kept, field.type)) is None:
                values[field.name] = msgspec.convert(kept, field.type)
            else:
                problems.append(f"{path}.{name}{wrong}; the default is used.")
    return kind(**values)


def _current(options: dict[str, Any], path: str, problems: list[str]) -> dict[str, Any]:
    """The options with old names replaced. The default of a replaced setting is ignored, because some editors send defaults too."""
    if path != "infill.completion" or "minConfidence" not in options:
        return options
    current = {name: value for name, value in options.items() if name != "minConfidence"}
    old = options["minConfidence"]
    if isinstance(old, (int, float)) and not isinstance(old, bool) and old > 0:
        eagerness = current.setdefault("eagerness", "low" if old >= CAREFUL else "medium")
        problems.append(f"{path}.minConfidence is deprecated: {path}.eagerness takes its place, and is {eagerness!r}.")
    return current


def _without_wrong_parts(value: Any, kind: Any, path: str, problems: list[str]) -> Any:
    """A list or table without its invalid elements, so that one invalid pattern does not disable the others."""
    plain = kind.__origin__ if get_origin(kind) is Annotated else kind
    if not isinstance(value, (list, dict)) or get_origin(plain) is not type(value):
        return value
    wrong = set()
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        if wrong_value({name: part} if isinstance(value, dict) else [part], kind) is not None:
            wrong.add(name)
            problems.append(f"{path}.{name}: {shown(part)} is not allowed; it is {allowed(plain.__args__[-1])}; it is left out.")
    if isinstance(value, dict):
        return {name: part for name, part in value.items() if name not in wrong}
    return [part for number, part in enumerate(value) if number not in wrong]


def _endpoints(entries: dict[str, Any], path: str, problems: list[str]) -> dict[str, Endpoint]:
    """The valid remote providers. An entry with an invalid part is dropped as a whole: without that part it could send code to a wrong server."""
    taken: dict[str, Endpoint] = {}
    for name, value in entries.items():
        if wrong := _wrong_endpoint(name, value):
            problems += [f"{path}.{name}{one}; this provider is left out." for one in wrong]
        else:
            taken[name] = msgspec.convert(value, Endpoint)
    return taken


def _wrong_endpoint(name: str, value: Any) -> list[str]:
    """The problems of one entry of providers.remote: a field and its allowed values, as the end of a sentence."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(Endpoint)}
    if not isinstance(value, dict):
        return [f" must be a table, not {shown(value)}"]
    wrong = [] if name and name.strip() == name and "/" not in name else [": a provider's name is not empty and has no slash and no blanks around it"]
    if "kind" not in value:
        wrong.append(f".kind is missing; it is {allowed(fields['kind'])}")
    for field, said in value.items():
        if field not in fields:
            wrong.append(f".{field} is not a setting of a provider; there are {', '.join(fields)}")
        elif isinstance(said, dict) and field == "headers":
            wrong += [f".headers.{header}: {problem}" for header, text in said.items() if (problem := wrong_header(header, text))]
        elif (invalid := wrong_value(said, fields[field])) is not None:
            wrong.append(f".{field}{invalid}")
    if not wrong and (address := wrong_address(value.get("url", ""))):
        wrong.append(f".url: {address}")
    return wrong
