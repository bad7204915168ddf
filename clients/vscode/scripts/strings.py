"""Writes `l10n/bundle.l10n.json`, what translators start from, out of the sources: `python scripts/strings.py [--check]`.

With `--check` nothing is written and the exit code is 1 when the file has drifted, or when a string could never be translated: one that is put
together by the program, or a `%name%` of package.json that `package.nls.json` does not have.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]
BUNDLE = HERE / "l10n" / "bundle.l10n.json"
CALL = re.compile(r"l10n\.t\(")
LITERAL = re.compile(r"l10n\.t\(\s*'((?:[^'\\]|\\.)*)'")


def strings() -> dict[str, str]:
    """Every string that the extension shows, as its own translation."""
    found = {}
    for source in sorted((HERE / "src").glob("*.ts")):
        text = source.read_text("utf-8")
        literals = LITERAL.findall(text)
        if len(literals) != len(CALL.findall(text)):
            sys.exit(f"{source.name}: l10n.t takes a literal in single quotes, or nobody can translate it")
        found |= {literal.replace("\\'", "'"): literal.replace("\\'", "'") for literal in literals}
    return dict(sorted(found.items()))


def named() -> set[str]:
    """The names that package.json has in place of its words."""
    return set(re.findall(r'"%([^%"]+)%"', (HERE / "package.json").read_text("utf-8")))


def main() -> int:
    words = set(json.loads((HERE / "package.nls.json").read_text("utf-8")))
    if differing := named() ^ words:
        sys.exit(f"package.json and package.nls.json differ in {', '.join(sorted(differing))}")
    wanted = json.dumps(strings(), indent=2, ensure_ascii=False) + "\n"
    if "--check" in sys.argv:
        return int(not BUNDLE.exists() or BUNDLE.read_text("utf-8") != wanted)
    BUNDLE.parent.mkdir(exist_ok=True)
    BUNDLE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
