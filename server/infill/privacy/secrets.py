"""Masks secrets in text before it is sent to a remote provider.

The rules come from detect-secrets, which is imported at the first remote request, because that takes about 0.2 s. Only those that examine a string
are used. Its `verify` functions are never called: they would test a found key over the network. Findings are replaced by MASK in place; only their
number is kept. docs/develop/decisions/ has the measurements.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

MASK = "********"
LONGEST_LINE = 2000
"""Characters scanned at once: some of the rules take time quadratic in a line's length."""
SHORTEST_KEY = 8
OVERLAP = 200
"""Characters that two scans of one long line share, so that shorter keys are found across the cut."""
SKIPPED = frozenset({"IPPublicDetector", "HexHighEntropyString", "Base64HighEntropyString", "PrivateKeyDetector", "SoftlayerDetector"})
"""Rules of detect-secrets that are not used. Addresses are not secrets; _ENTROPY below checks entropy, `_key_blocks` checks key blocks."""
CONFIGURATION = frozenset({".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".env", ".tf", ".hcl", ".dockerfile"})
"""Files in which values without quotes are checked too, such as `password: abc`."""
_MORE = re.compile(
    r"""github_pat_\w{20,} | \bsk-(?:ant-|proj-|or-)?[\w-]{20,} | \bhf_[A-Za-z0-9]{20,} | \bAIza[\w-]{35} | \bya29\.[\w-]{20,} | \bglpat-[\w-]{20,}
      | \bxox[abeoprs]-[\w-]{10,} | \bdop_v1_[0-9a-f]{32,} | \bnpm_[A-Za-z0-9]{30,} | \bSG\.[\w-]{16,}\.[\w-]{16,} | \bAGE-SECRET-KEY-1[0-9A-Z]{20,}
      | \bBearer\s+([\w.~+/-]{20,}=*) | \bBasic\s+([A-Za-z0-9+/]{16,}={0,2})""",
    re.VERBOSE,
)
"""Keys of formats published after detect-secrets' last release, and those in HTTP headers."""
_QUOTED = re.compile(r"""(["'`])([A-Za-z0-9+/_=-]{20,})\1""")
_REST = re.compile(r"[\w.~+/=-]*")
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|PuTTY-User-Key-File-\d")
_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|Private-MAC:")
_BASE64_LINE = re.compile(r"^\s*[\"']?[A-Za-z0-9+/=]{40,}(?:\\n)?[\"']?[\s,+\\]*$")
BASE64_BITS, HEX_BITS = 4.5, 3.0
"""Entropy in bits per character from which a quoted string counts as random: detect-secrets' own limits."""

Span = tuple[int, int]


def mask(text: str, path: str = "") -> tuple[str, int]:
    """The text with its secrets masked, and their number; `path` distinguishes code from configuration."""
    masked, _, found = mask_around(text, "", path)
    return masked, found


def mask_around(before: str, after: str, path: str = "") -> tuple[str, str, int]:
    """As `mask` for the text on both sides of a cursor: a key that contains the cursor is masked on both."""
    bare = PurePosixPath(path).suffix.lower() in CONFIGURATION
    lines = (before + after).split("\n")
    blocks = _key_blocks(lines)
    pieces: list[str] = []
    found, cut, start, at_cut = 0, len(before), 0, -1
    for number, line in enumerate(lines):
        spans = ((0, len(line)),) if number in blocks and line.strip() else _spans(line, bare)
        found += len(spans)
        if start <= cut <= start + len(line):
            left, right = _hide(line, spans, cut - start)
            at_cut = sum(len(piece) + 1 for piece in pieces) + len(left)
            pieces.append(left + right)
        else:
            pieces.append("".join(_hide(line, spans, len(line))))
        start += len(line) + 1
    whole = "\n".join(pieces)
    return whole[:at_cut], whole[at_cut:], found


def _hide(line: str, spans: tuple[Span, ...], cut: int) -> tuple[str, str]:
    """A line with its spans masked, in two parts: a span across the cut leaves a mask in both."""
    left: list[str] = []
    right: list[str] = []
    at = 0
    for begin, end in (*spans, (len(line), len(line))):
        left.append(line[at : max(at, min(begin, cut))])
        right.append(line[max(at, min(cut, begin)) : begin] if begin > cut else "")
        if begin < cut and begin < end:
            left.append(MASK)
        if end > cut and begin < end:
            right.append(MASK)
        at = end
    return "".join(left), "".join(right)


@functools.lru_cache(maxsize=8192)
def _spans(line: str, bare: bool) -> tuple[Span, ...]:
    """The positions of secrets in one line. Cached, because most lines do not change from one request to the next."""
    if len(line) < 8:
        return ()
    spans: list[Span] = []
    for start in range(0, max(1, len(line) - OVERLAP), LONGEST_LINE - OVERLAP):
        part = line[start : start + LONGEST_LINE]
        spans += [(start + begin, start + end) for begin, end in _in_part(part, bare)]
    return _merged(spans)


def _in_part(part: str, bare: bool) -> Iterator[Span]:
    for match in _MORE.finditer(part):
        yield _secret_in(match)
    for match in _QUOTED.finditer(part):
        if _looks_random(match[2]):
            yield match.span(2)
    for shape in _shapes():
        for match in shape.finditer(part):
            yield _secret_in(match)
    for analyze in _named(bare):
        for value in analyze(part):
            if value.strip():
                yield from (match.span() for match in re.finditer(re.escape(value), part))


def _secret_in(match: re.Match[str]) -> Span:
    """The position of a match's secret: its captured group, unless that is only a prefix (some rules capture `ghp` of `ghp_...`)."""
    groups = [number for number in range(1, match.re.groups + 1) if len(match[number] or "") >= SHORTEST_KEY]
    begin, end = match.span(groups[0] if groups else 0)
    rest = _REST.match(match.string, end)  # a rule may match only the beginning of a key
    return begin, rest.end() if rest else end


def _merged(spans: list[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _looks_random(text: str) -> bool:
    """Whether a quoted string looks random: letters and digits mixed, and high entropy per character."""
    import math

    if not any(character.isdigit() for character in text) or not any(character.isalpha() for character in text):
        return False
    bits = -sum(share * math.log2(share) for share in (text.count(character) / len(text) for character in set(text)))
    return bits > (HEX_BITS if all(character in "0123456789abcdefABCDEF" for character in text) else BASE64_BITS)


def _key_blocks(lines: list[str]) -> set[int]:
    """The lines of private keys: from BEGIN to END, and three or more consecutive lines of base64 only (a key without its beginning)."""
    blocks: set[int] = set()
    inside = False
    run: list[int] = []
    for number, line in enumerate(lines):
        inside = inside or _BEGIN.search(line) is not None
        if inside:
            blocks.add(number)
            inside = _END.search(line) is None
        run = [*run, number] if _BASE64_LINE.match(line) else []
        if len(run) >= 3:
            blocks.update(run)
    return blocks


@functools.cache
def _shapes() -> tuple[re.Pattern[str], ...]:
    """detect-secrets' patterns for keys with a known format."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    plugins: list[Any] = list(get_mapping_from_secret_type_to_class().values())
    return tuple(pattern for plugin in plugins if plugin.__name__ not in SKIPPED for pattern in getattr(plugin, "denylist", ()))


@functools.cache
def _named(bare: bool) -> tuple[Callable[[str], Iterator[str]], ...]:
    """detect-secrets' functions for values that are secret by their variable's name; `bare`: values without quotes."""
    from detect_secrets.plugins import keyword

    quoted = keyword.KeywordDetector().analyze_string
    return (quoted, functools.partial(quoted, denylist_regex_to_group=keyword.CONFIG_DENYLIST_REGEX_TO_GROUP)) if bare else (quoted,)
