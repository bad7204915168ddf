"""The names that models write after a fence for each language, and which languages are related. Data, by LSP language identifier."""

from __future__ import annotations

import re

_NAMES: dict[str, tuple[str, ...]] = {
    "python": ("py", "python3", "python2", "py3", "pyi", "pycon", "ipython"),
    "javascript": ("js", "node", "nodejs", "mjs", "cjs", "ecmascript"),
    "typescript": ("ts", "mts", "cts"),
    "javascriptreact": ("jsx",),
    "typescriptreact": ("tsx",),
    "csharp": ("c#", "cs", "c-sharp"),
    "cpp": ("c++", "cc", "cxx", "hpp", "cplusplus"),
    "c": ("h",),
    "go": ("golang",),
    "rust": ("rs",),
    "ruby": ("rb",),
    "kotlin": ("kt", "kts"),
    "shellscript": ("bash", "sh", "shell", "zsh", "fish", "ksh"),
    "powershell": ("ps1", "pwsh"),
    "bat": ("batch", "cmd"),
    "markdown": ("md", "mdx"),
    "yaml": ("yml",),
    "json": ("jsonc", "json5"),
    "html": ("htm", "xhtml"),
    "dockerfile": ("docker", "containerfile"),
    "makefile": ("make", "mk"),
    "objective-c": ("objc", "objectivec", "m"),
    "haskell": ("hs",),
    "elixir": ("ex", "exs"),
    "perl": ("pl",),
    "latex": ("tex",),
    "fsharp": ("f#", "fs"),
    "vb": ("vbnet", "visual-basic"),
    "restructuredtext": ("rst",),
    "plaintext": ("text", "txt", "plain"),
}
_BY_NAME = {name: language for language, names in _NAMES.items() for name in (language, *names)}
_RELATED = (
    {"javascript", "typescript", "javascriptreact", "typescriptreact", "vue", "svelte"},
    {"c", "cpp", "objective-c", "cuda"},
    {"html", "vue", "svelte", "xml", "php", "handlebars"},
    {"css", "scss", "less"},
    {"json", "yaml"},
    {"java", "kotlin", "groovy"},
)
CONSOLE = frozenset(
    ("shellscript", "powershell", "bat", "console", "terminal", "shellsession", "shell-session", "plaintext", "output", "log", "stdout")
)
"""Languages of commands and of program output."""
PROSE = frozenset(("markdown", "plaintext", "restructuredtext", "latex", "asciidoc", "yaml", "html", "xml", "gitcommit", "git-commit", "feature"))
"""Languages whose documents can contain sentences."""
TITLES = {
    "cpp": "C++", "csharp": "C#", "css": "CSS", "fsharp": "F#", "html": "HTML", "javascript": "JavaScript", "javascriptreact": "JavaScript (React)",
    "json": "JSON", "php": "PHP", "plaintext": "plain text", "shellscript": "shell script", "sql": "SQL", "toml": "TOML", "typescript": "TypeScript",
    "typescriptreact": "TypeScript (React)", "xml": "XML", "yaml": "YAML",
}  # fmt: skip


def title(language: str) -> str:
    """The name of a language for use in a sentence."""
    return TITLES.get(language, language[:1].upper() + language[1:])


def canonical(name: str) -> str:
    """The identifier for a word after a fence or a file extension; empty if it is unknown."""
    word = re.split(r"[\s:{},=\[]", name.strip().strip("{").lstrip(".").strip(), maxsplit=1)[0].lower()
    if "." in word:
        word = word.rpartition(".")[2]
    return _BY_NAME.get(word, word)


def agreement(block: str, wanted: str) -> int:
    """How well a block's language fits the wanted one: 2 equal, 1 unknown or related, 0 different."""
    if not block or not wanted:
        return 1
    if block == wanted:
        return 2
    return 1 if any(block in group and wanted in group for group in _RELATED) else 0
