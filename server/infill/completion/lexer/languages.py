"""The lexer's table: comments, strings and regular expressions of each language. Pure data.

A language that is not listed gets `DEFAULT`. The names are LSP language identifiers.
"""

from __future__ import annotations

from typing import NamedTuple


class String(NamedTuple):
    """One kind of string literal."""

    opener: str
    """Regular expression of the opener; the closer is derived from the match (see `modes.closer_of`)."""
    lines: bool = False
    """May contain line breaks."""
    escapes: bool = True
    """A backslash escapes the next character."""
    holes: str = ""
    """Regular expression that opens an interpolation; it ends with the opening bracket."""
    skips: str = ""
    """Regular expression of text that looks like an interpolation or a closer but is none."""
    prose: bool = False
    """Usually contains text, not data: quotes and backticks in it come in pairs."""


class Language(NamedTuple):
    """The syntax of one language, as far as the lexer needs it."""

    line: str = ""
    """Regular expression that begins a line comment."""
    blocks: tuple[tuple[str, str], ...] = ()
    """Block comments: opener and closer."""
    strings: tuple[String, ...] = ()
    characters: bool = False
    """A single quote encloses one character; it can also stand alone: `'a`."""
    regex: bool = False
    """`/` begins a regular expression where an operand is expected."""
    angles: bool = False
    """`<` after a name opens type arguments."""
    pipes: bool = False
    """`|` where an operand is expected opens the parameters of a closure."""
    tags: bool = False
    """JSX: `<` where an operand is expected begins an element."""
    heredoc: str = ""
    """Regular expression that begins a here-document; it ends with the delimiter word."""
    markup: str = ""
    """`html`, `xml`, `vue`, `svelte`, `php`: text with tags."""
    prose: bool = False
    """Text without code: quotes are punctuation."""


C_BLOCK = (("/*", "*/"),)
DOUBLE, SINGLE = String('"'), String("'")
BACKTICK = String("`", lines=True, holes=r"\$\{")
TRIPLE = String('"""', lines=True, prose=True)
F_PREFIX = r"(?:(?<=\b[fFtT])|(?<=\b[fFtT][rR])|(?<=\b[rR][fFtT]))"
BRACES = r"\{\{|\}\}"

_C = Language(line="//", blocks=C_BLOCK, strings=(DOUBLE,), characters=True)
_JS = Language(line="//", blocks=C_BLOCK, strings=(BACKTICK, DOUBLE, SINGLE), regex=True, tags=True)
_TS = _JS._replace(tags=False, angles=True)
_LISP = Language(line=";", blocks=(("#|", "|#"),), strings=(String('"', lines=True),), characters=True)
_SHELL = Language(
    line=r"(?<![\w$\\{])#",
    strings=(
        String(r'\$?"', lines=True, holes=r"\$\(|\$\{"),
        String(r"\$'", lines=True),
        String(r"(?<!\w)'", lines=True, escapes=False),
        String("`", lines=True),
    ),
    heredoc=r"<<[-~]?\s*\\?['\"]?[A-Za-z_]\w*",
)
_MARKUP = Language(markup="html")
DEFAULT = Language(blocks=C_BLOCK, strings=(DOUBLE, String(r"(?<!\w)'")))

LANGUAGES: dict[str, Language] = {
    "python": Language(
        line="#",
        strings=(
            String(F_PREFIX + "(?:\"\"\"|''')", lines=True, holes=r"\{", skips=BRACES),
            String(F_PREFIX + "[\"']", holes=r"\{", skips=BRACES),
            TRIPLE,
            String("'''", lines=True, prose=True),
            DOUBLE,
            SINGLE,
        ),
    ),
    "javascript": _JS,
    "javascriptreact": _JS,
    "typescript": _TS,
    "typescriptreact": _TS._replace(tags=True),
    "html": _MARKUP,
    "xml": Language(markup="xml"),
    "vue": Language(markup="vue"),
    "svelte": Language(markup="svelte"),
    "php": Language(markup="php"),
    "php code": Language(
        line=r"//|#(?!\[)",
        blocks=C_BLOCK,
        strings=(String('"', lines=True, holes=r"\{(?=\$)|\$\{"), String("'", lines=True), String("`", lines=True)),
        heredoc=r"<<<\s*['\"]?[A-Za-z_]\w*",
    ),
    "css": Language(blocks=C_BLOCK, strings=(DOUBLE, SINGLE)),
    "scss": Language(line="(?<!:)//", blocks=C_BLOCK, strings=(String('"', holes=r"#\{"), String("'", holes=r"#\{"))),
    "c": _C,
    "cpp": _C._replace(strings=(String(r'(?<=R)"[^(\s"]*\(', lines=True, escapes=False), DOUBLE), angles=True),
    "csharp": _C._replace(
        strings=(
            TRIPLE,
            String(r'\$@"|@\$"', lines=True, escapes=False, holes=r"\{", skips=BRACES + '|""'),
            String(r'@"', lines=True, escapes=False, skips='""'),
            String(r'\$"', holes=r"\{", skips=BRACES),
            DOUBLE,
        ),
        angles=True,
    ),
    "java": _C._replace(strings=(TRIPLE, DOUBLE), angles=True),
    "go": _C._replace(strings=(DOUBLE, String("`", lines=True, escapes=False))),
    "rust": _C._replace(strings=(String('(?<=r)#+"', lines=True, escapes=False), String('"', lines=True)), angles=True, pipes=True),
    "kotlin": _C._replace(strings=(TRIPLE._replace(holes=r"\$\{"), String('"', holes=r"\$\{")), angles=True),
    "scala": _C._replace(strings=(TRIPLE._replace(holes=r"\$\{"), String('"', holes=r"\$\{"))),
    "dart": _JS._replace(
        strings=(TRIPLE._replace(holes=r"\$\{"), String("'''", lines=True), String("[\"']", holes=r"\$\{")), regex=False, tags=False, angles=True
    ),
    "swift": Language(line="//", blocks=C_BLOCK, strings=(TRIPLE._replace(holes=r"\\\("), String('"', holes=r"\\\(")), angles=True),
    "zig": _C,
    "ruby": Language(
        line=r"(?<![\w$])#(?!\{)",
        blocks=(("\n=begin", "\n=end"),),
        strings=(String('"', lines=True, holes=r"#\{"), String("`", holes=r"#\{"), String(r"(?<!\w)'", lines=True)),
        regex=True,
        pipes=True,
        heredoc=r"<<[~-]?['\"]?[A-Z_]\w*",
    ),
    "elixir": Language(line="#", strings=(TRIPLE._replace(holes=r"#\{"), String('"', lines=True, holes=r"#\{"), SINGLE)),
    "perl": Language(line=r"(?<![\w$])#", strings=(String('"', lines=True), String(r"(?<!\w)'", lines=True), String("`")), regex=True),
    "lua": Language(line=r"--(?!\[=*\[)", blocks=(("--[[", "]]"),), strings=(String(r"\[=*\[", lines=True, escapes=False), DOUBLE, SINGLE)),
    "shellscript": _SHELL,
    "makefile": Language(line="#", strings=(String('"'), String(r"(?<!\w)'"))),
    "dockerfile": _SHELL._replace(heredoc=""),
    "powershell": Language(
        line="#", blocks=(("<#", "#>"),), strings=(String('"', lines=True, escapes=False, holes=r"\$\("), String("'", escapes=False))
    ),
    "sql": Language(
        line="--", blocks=C_BLOCK, strings=(String("'", lines=True, escapes=False), DOUBLE, String(r"\$\w*\$", lines=True, escapes=False))
    ),
    "json": Language(strings=(DOUBLE,)),
    "jsonc": Language(line="//", blocks=C_BLOCK, strings=(DOUBLE,)),
    "yaml": Language(line=r"(?<!\S)#", strings=(String(r'(?<![\w.)])"', lines=True), String(r"(?<![\w.)])'", lines=True, escapes=False))),
    "toml": Language(line="#", strings=(TRIPLE, String("'''", lines=True, escapes=False), DOUBLE, String("'", escapes=False))),
    "ini": Language(line=r"(?<!\S)[#;]", strings=(String(r'(?<!\w)"'), String(r"(?<!\w)'"))),
    "terraform": Language(line="#|//", blocks=C_BLOCK, strings=(String('"', holes=r"\$\{"),)),
    "haskell": Language(line="--", blocks=(("{-", "-}"),), strings=(DOUBLE,), characters=True),
    "ocaml": Language(blocks=(("(*", "*)"),), strings=(String('"', lines=True),), characters=True),
    "r": Language(line="#", strings=(String('"', lines=True), String("'", lines=True), String("`"))),
    "julia": Language(line="#", strings=(TRIPLE._replace(holes=r"\$\("), String('"', lines=True, holes=r"\$\(")), characters=True),
    "lisp": _LISP,
    "clojure": _LISP._replace(blocks=()),
    "scheme": _LISP,
    "latex": Language(line=r"(?<!\\)%", prose=True),
    "markdown": Language(blocks=(("<!--", "-->"),), prose=True),
    "plaintext": Language(prose=True),
    "gitcommit": Language(line="(?m:^#)", prose=True),
    "vb": Language(line="'", strings=(String('"', escapes=False),)),
    "erlang": Language(line="%", strings=(String('"', lines=True), SINGLE)),
}

ALIASES = {
    "sh": "shellscript",
    "bash": "shellscript",
    "zsh": "shellscript",
    "make": "makefile",
    "objective-c": "c",
    "objective-cpp": "cpp",
    "cuda-cpp": "cpp",
    "less": "scss",
    "sass": "scss",
    "js": "javascript",
    "jsx": "javascriptreact",
    "ts": "typescript",
    "tsx": "typescriptreact",
    "py": "python",
    "rb": "ruby",
    "rs": "rust",
    "tex": "latex",
    "mdx": "markdown",
    "quarto": "markdown",
    "rmd": "markdown",
    "restructuredtext": "plaintext",
    "handlebars": "html",
    "erb": "html",
    "jinja-html": "html",
    "django-html": "html",
    "htmldjango": "html",
    "astro": "svelte",
    "xsl": "xml",
    "groovy": "kotlin",
    "yml": "yaml",
    "c++": "cpp",
    "cs": "csharp",
    "hcl": "terraform",
    "emacs-lisp": "lisp",
    "": "python",
}


def language_of(name: str) -> Language:
    """The entry for an LSP language identifier or for the word after a Markdown fence."""
    return LANGUAGES.get(ALIASES.get(name, name), DEFAULT)
