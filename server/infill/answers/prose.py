"""Distinguishes prose from code, line by line: by English function words, and by characters that only code has."""

from __future__ import annotations

import re

_FUNCTION_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "it",
        "its",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "you",
        "your",
        "we",
        "our",
        "us",
        "i",
        "my",
        "me",
        "they",
        "their",
        "there",
        "here",
        "to",
        "of",
        "in",
        "on",
        "with",
        "for",
        "from",
        "by",
        "at",
        "as",
        "into",
        "and",
        "or",
        "but",
        "not",
        "no",
        "can",
        "will",
        "would",
        "should",
        "could",
        "may",
        "must",
        "which",
        "what",
        "when",
        "where",
        "how",
        "if",
        "then",
        "so",
        "because",
        "than",
        "also",
        "each",
        "every",
        "any",
        "all",
        "some",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "let's",
        "lets",
        "here's",
        "it's",
        "that's",
        "i'll",
        "you'll",
        "you're",
        "i'm",
        "don't",
        "doesn't",
        "isn't",
        "can't",
        "cannot",
        "please",
    ]
)
_CODE_WORDS = frozenset(
    [
        "for",
        "if",
        "while",
        "with",
        "from",
        "import",
        "return",
        "in",
        "not",
        "and",
        "or",
        "else",
        "elif",
        "try",
        "except",
        "raise",
        "def",
        "class",
        "async",
        "await",
        "yield",
        "lambda",
        "let",
        "const",
        "var",
        "function",
        "export",
        "select",
        "insert",
        "update",
        "delete",
        "create",
        "package",
        "use",
        "using",
        "type",
        "struct",
        "enum",
        "interface",
        "public",
        "private",
        "static",
        "void",
        "new",
        "case",
        "switch",
        "match",
        "fn",
        "func",
        "pub",
        "impl",
        "mod",
        "do",
        "end",
        "then",
        "local",
        "echo",
        "print",
        "puts",
        "require",
        "include",
        "assert",
        "del",
        "pass",
        "global",
        "unless",
        "until",
        "where",
        "when",
    ]
)
_INTERJECTION = re.compile(
    r"^(?:sure|certainly|absolutely|of course|okay|ok|great|hello|hi|yes|alright|got it|no problem|you're welcome|done|thanks|thank you)\b[ ,!.:]?",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^(?:sure|certainly|of course|here(?:'s| is| are)|okay|ok|the following|below is|this (?:code|function|script|class|is)|to \w+|you can"
    r"|i(?:'ve|'ll)?)\b[^\n]*[:!.]\s*$",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"^\s*(?:\*\*[^*]+\*\*|#{3,6} \S|---+\s*$)")
_LIST = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
_COMMENT = re.compile(r"^\s*(?://|#|/\*|\*|--|;|%|\"\"\"|'''|<|@)")
_CODE = re.compile(r"[{};\\]\s*$|[(\[=]\s*$|\s[-+*/%|&^]?=\s|[:=!<>+-]=|=>|->|::|\w\(\)|^\s*[\w.]+\([^ ].*\)\s*$|^\s*[\w.\[\]]+\s*=[^=]")
_QUOTES = re.compile(r"`[^`]*`|\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)")
LEAST_WORDS = 3
SHARE = 0.2
"""Minimum share of function words in a sentence."""


def is_prose(line: str) -> bool:
    """Whether a line is a sentence, a heading or a list item of an explanation, and not code."""
    bare = line.strip()
    if not bare:
        return False
    if _MARKUP.match(line) or (len(bare) < 40 and _INTERJECTION.match(bare) and not _CODE.search(bare)):
        return True
    item = _LIST.match(line)
    if _COMMENT.match(line) and item is None:
        return False
    if line[:1] in " \t" and item is None:
        return False
    return _is_sentence(line[item.end() :] if item else bare, listed=item is not None)


def is_lead(line: str) -> bool:
    """Whether a line introduces code: "Here is the function:"."""
    return bool(_LEAD.match(line.strip())) and not _CODE.search(_QUOTES.sub("x", line.strip()))


def _is_sentence(text: str, *, listed: bool) -> bool:
    plain = _QUOTES.sub("x", text).strip()
    words = re.findall(r"[A-Za-z]+(?:'[a-z]+)?", plain)
    if not words or _CODE.search(plain):
        return False
    if words[0] in _CODE_WORDS and not plain.endswith((".", "!", "?")):
        return False
    known = sum(word.lower() in _FUNCTION_WORDS for word in words if not (len(word) > 1 and word.isupper()))
    if len(words) < LEAST_WORDS:
        return listed and known > 0
    return known >= max(1, SHARE * len(words)) and (known >= 2 or plain.endswith((".", "!", "?", ":")) or listed)
