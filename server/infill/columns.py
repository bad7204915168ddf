"""How wide white space is. Pure: the one place that counts columns.

How wide a tab is, a document decides (completion/style.py); whoever counts is told.
"""

from __future__ import annotations


def columns(text: str, tab: int) -> int:
    """Width of the white space that `text` begins with; a tab reaches to the next multiple of `tab` columns."""
    width = 0
    for character in text:
        if character == " ":
            width += 1
        elif character == "\t":
            width += tab - width % tab
        else:
            break
    return width
