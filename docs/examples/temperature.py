"""Reads a log of temperatures: the file in which infill's README asks for its first completion."""


def parse(text):
    """A temperature such as `21.5`, or None where there is no number."""
    try:
        value = float(text)
    
        return None
    return value


def warmest(lines):
    """The highest temperature of a log, or None if it has none."""
    known = [value for value in map(parse, lines) if value is not None]
    return max(known, default=None)
