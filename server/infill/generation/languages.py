"""Comments and bodies of each language. Data, by LSP language identifier."""

from __future__ import annotations

import msgspec


class Syntax(msgspec.Struct, frozen=True, kw_only=True):
    """The syntax of a language that generation needs."""

    line: str = ""
    """Begins a line comment."""
    block: tuple[str, str] = ("", "")
    """Begin and end of a block comment."""
    body: str = "brace"
    """How a body is delimited: `indent`, `brace`, `end` (a word), or `none`."""
    signature: str = ""
    """Regular expression of a line that begins a function or type."""


_BRACE_SIGNATURE = r"[\w\])>*&\"']\s*(?:->[^{]+|:[^{=]+)?\{\s*(?://.*)?$"
_PYTHON = Syntax(line="#", block=('"""', '"""'), body="indent", signature=r"^\s*(?:async\s+def|def|class)\b.*:\s*(?:#.*)?$")
_C = Syntax(line="//", block=("/*", "*/"), signature=_BRACE_SIGNATURE)
_LUA = Syntax(line="--", block=("--[[", "]]"), body="end", signature=r"\bfunction\b[^(]*\([^)]*\)\s*$")
_RUBY = Syntax(line="#", body="end", signature=r"^\s*(?:def|class|module)\b.*$")
_MARKUP = Syntax(block=("<!--", "-->"), body="none")
_HASH = Syntax(line="#", body="none")
_SQL = Syntax(line="--", block=("/*", "*/"), body="none")

BY_LANGUAGE = {
    "python": _PYTHON,
    **dict.fromkeys(
        (
            "c",
            "cpp",
            "csharp",
            "dart",
            "go",
            "java",
            "javascript",
            "javascriptreact",
            "kotlin",
            "php",
            "rust",
            "scala",
            "swift",
            "typescript",
            "typescriptreact",
            "zig",
            "objective-c",
            "groovy",
        ),
        _C,
    ),
    "lua": _LUA,
    "ruby": _RUBY,
    **dict.fromkeys(("html", "xml", "markdown", "vue", "svelte"), _MARKUP),
    **dict.fromkeys(("css", "scss", "less"), Syntax(block=("/*", "*/"), signature=_BRACE_SIGNATURE)),
    **dict.fromkeys(("sql", "haskell"), _SQL),
    **dict.fromkeys(("shellscript", "yaml", "toml", "dockerfile", "makefile", "perl", "r", "elixir", "julia"), _HASH),
}
PLAIN = Syntax(body="none")

BY_ENDING = {
    ".c": "c", ".cc": "cpp", ".cpp": "cpp", ".cs": "csharp", ".css": "css", ".go": "go", ".h": "c", ".hpp": "cpp", ".html": "html",
    ".java": "java", ".js": "javascript", ".json": "json", ".jsx": "javascriptreact", ".kt": "kotlin", ".lua": "lua", ".md": "markdown",
    ".php": "php",
    ".py": "python", ".pyi": "python", ".rb": "ruby", ".rs": "rust", ".scss": "scss", ".sh": "shellscript", ".sql": "sql", ".swift": "swift",
    ".toml": "toml", ".ts": "typescript", ".tsx": "typescriptreact", ".yaml": "yaml", ".yml": "yaml", ".zig": "zig",
}  # fmt: skip
"""LSP language identifiers by file extension."""


def syntax_of(language: str) -> Syntax:
    """The syntax of a language; empty defaults for an unknown one."""
    return BY_LANGUAGE.get(language, PLAIN)


def as_comment(text: str, language: str, indent: str) -> str:
    """`text` as comment lines of the language; unchanged if it has no comments."""
    syntax = syntax_of(language)
    if syntax.line:
        return "\n".join(f"{indent}{syntax.line} {line}".rstrip() for line in text.splitlines())
    if syntax.block[0]:
        # the closing mark inside the text would end the comment
        lines = text.replace(syntax.block[1], "").splitlines()
        return f"{indent}{syntax.block[0]} " + f"\n{indent}".join(lines) + f" {syntax.block[1]}"
    return indent + text
