"""Removes copyright and licence notices of other projects at the head of a file. Pure.

If the file contains "copyright" or "licence", the model may continue the user's notice.
"""

from __future__ import annotations

import re

from infill.completion.place import TAIL, Place

_NOTICE = re.compile(
    r"""(?ix)
      \bcopyright\b \s* (?: \(c\) | © | : | \d{4} | the\b | by\b )
    | © \s* \d{4}
    | \ball\ rights\ reserved\b
    | \blicen[sc]ed\ (?:to|under)\b
    | :licen[sc]e:
    | \bthis\ (?:file|module|program|library|software|work|source\ code)\ is\ (?:part\ of|free\ software|licen[sc]ed|distributed|governed|subject)
    | \bthis\ source\ code\ form\ is\ subject\b
    | \bpermission\ is\ hereby\ granted\b
    | \bredistribution\ and\ use\ in\ source\b
    """
)
_BEGUN = re.compile(r"(?i)copyright|licen[sc]e|©")
_COMMENT = ("#", "//", "/*", "*", "--", ";", "%", "<!--", "<?", '"""', "'''")


def notice_cut(text: str, place: Place) -> str:
    """Cut before the first line with such a notice, if no code is above and the file has no notice."""
    if not _NOTICE.search(place.line_before + text) or _BEGUN.search(place.above + place.line_before) or not _is_head(place):
        return text
    kept, begun = 0, place.line_before
    for line in text.splitlines(keepends=True):
        if _NOTICE.search(begun + line):
            break
        kept, begun = kept + len(line), ""
    return text[:kept]


def _is_head(place: Place) -> bool:
    """Whether only comments and the beginning of a docstring precede the cursor."""
    before = place.above + place.line_before
    for quote in ('"""', "'''"):
        if before.count(quote) % 2:
            before = before[: before.rfind(quote)]
    return len(place.above) < TAIL and all(not line.strip() or line.lstrip().startswith(_COMMENT) for line in before.splitlines())
