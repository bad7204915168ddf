"""Writes `media/infill.woff`, the icons `$(infill-logo)` and `$(infill-off)` of the status bar: `python scripts/icon.py` (needs fonttools).

Both are drawn here from rectangles on a grid of 24, as `media/icon.svg` is: two brackets, and between them what is filled in. `media/icon.png`
is `media/icon.svg` at 128 px, as any renderer of SVG draws it.
"""

from __future__ import annotations

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables._g_l_y_f import Glyph

TARGET = Path(__file__).parents[1] / "media" / "infill.woff"
GRID = 24
UNITS = 960
Corner = tuple[float, float]


def box(left: float, top: float, right: float, bottom: float) -> list[Corner]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


LEFT = [(8.5, 3), (3, 3), (3, 21), (8.5, 21), (8.5, 18.8), (5.4, 18.8), (5.4, 5.2), (8.5, 5.2)]
RIGHT = [(GRID - x, y) for x, y in reversed(LEFT)]
TEXT = [box(8.2, 10.9, 10.4, 13.1), box(11.2, 10.9, 12.8, 13.1), box(13.6, 10.9, 15.8, 13.1)]
SLASH = [(2.6, 4.2), (4.2, 2.6), (21.4, 19.8), (19.8, 21.4)]


def glyph(shapes: list[list[Corner]]) -> Glyph:
    pen = TTGlyphPen(None)
    scale = UNITS / GRID
    for shape in shapes:
        points = [(round(x * scale), round((GRID - y) * scale)) for x, y in shape]
        pen.moveTo(points[0])
        for point in points[1:]:
            pen.lineTo(point)
        pen.closePath()
    return pen.glyph()


def main() -> None:
    builder = FontBuilder(UNITS, isTTF=True)
    builder.setupGlyphOrder([".notdef", "logo", "off"])
    builder.setupCharacterMap({0xE001: "logo", 0xE002: "off"})
    builder.setupGlyf({".notdef": glyph([]), "logo": glyph([LEFT, RIGHT, *TEXT]), "off": glyph([LEFT, RIGHT, SLASH])})
    builder.setupHorizontalMetrics(dict.fromkeys((".notdef", "logo", "off"), (UNITS, 0)))
    builder.setupHorizontalHeader(ascent=UNITS, descent=0)
    builder.setupNameTable({"familyName": "infill", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=UNITS, usWinAscent=UNITS, usWinDescent=0)
    builder.setupPost()
    builder.font.flavor = "woff"
    builder.font.recalcTimestamp = False
    builder.save(TARGET)


if __name__ == "__main__":
    main()
