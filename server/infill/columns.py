"""The width of white space in columns. Pure; the only code that counts columns.

The width of a tab depends on the document (completion/style.py) and is a parameter.
"""

from __future__ import annotations


def columns(text: str, tab: int) -> int:
    """Width of the leading white space of `text`; a tab extends to the next multiple of `tab` columns."""
    width = 0
    for character in text:
        if character == " ":
            width += 1
        elif character == "\t":
            width += tab - width % tab
        else:
            break
    return width
