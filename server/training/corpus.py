"""Collects permissively licensed Python source from the installed packages into one deduplicated corpus. `python corpus.py` lists it.

Only packages whose licence is listed in LICENCES are used.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import random
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HELD = Path(__file__).with_name("held.json.xz")
"""Files that none of the project's models was trained on; all figures are measured on them."""
LICENCES = {
    "standard library": "PSF-2.0",
    **dict.fromkeys(("click", "flask", "itsdangerous", "jinja2", "werkzeug", "httpx", "starlette", "joserfc"), "BSD-3-Clause"),
    **dict.fromkeys(("IPython", "traitlets", "prompt_toolkit", "psutil", "torch"), "BSD-3-Clause"),
    **dict.fromkeys(("numpy", "scipy", "sympy", "mpmath", "networkx"), "BSD-3-Clause"),
    **dict.fromkeys(("pygments", "docutils"), "BSD-2-Clause and public domain"),
    **dict.fromkeys(("_pytest", "attr", "graphql", "jsonschema", "libcst", "pip", "pydantic", "setuptools", "urllib3", "yaml"), "MIT"),
    **dict.fromkeys(("rich", "anyio", "markdown_it", "parso", "referencing", "pluggy"), "MIT"),
    **dict.fromkeys(("trio", "packaging"), "Apache-2.0 or MIT or BSD-2-Clause"),
    **dict.fromkeys(("requests", "huggingface_hub"), "Apache-2.0"),
    "pexpect": "ISC",
}
"""Import name -> licence."""
SKIPPED = {"test", "tests", "idlelib", "lib2to3", "encodings", "pydoc_data", "site-packages", "_vendor", "unicode", "lexers", "unidata"}
"""Folders with tables, generated code and copies of other projects."""
PACKAGE_LIMIT, LIBRARY_LIMIT = 6_000_000, 30_000_000
"""Maximum number of characters from one package | from the standard library, so that no source dominates."""
SHORTEST, LONGEST, LONGEST_LINE = 300, 300_000, 400
HELD_IN_256 = 5


NOTICE = re.compile(r"(?i)copyright|licen[sc]e|©|all rights reserved|this file is part of")
_COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*")
_FIELDS = re.compile(r"(?im)^[ \t]*:(?:copyright|licen[sc]e):[^\n]*\n(?:[ \t]+[^:\s][^\n]*\n)*")


def without_header(text: str) -> str:
    """A file's text without copyright and licence notices at its head, which a model would recite in every new file.

    If a leading comment has such a notice, all leading comments are removed. So are the fields `:copyright:` and `:license:` of a module's docstring.
    """
    text = _FIELDS.sub("", text)
    head = _COMMENTS.match(text)
    end = head.end() if head else 0
    if NOTICE.search(text[:end]):
        interpreter = text.partition("\n")[0] + "\n" if text.startswith("#!") else ""
        return interpreter + text[end:]
    return text


class Source(NamedTuple):
    """One file of the corpus."""

    package: str
    file: Path
    text: str

    @property
    def held(self) -> bool:
        """Whether it is held out from training. Depends on its content only, so that the result is the same on every machine."""
        return hashlib.sha256(self.text.encode()).digest()[0] < HELD_IN_256


def _roots() -> Iterator[tuple[str, Path, int]]:
    library = Path(sysconfig.get_paths()["stdlib"])
    yield "standard library", library, LIBRARY_LIMIT
    for site in dict.fromkeys((library / "site-packages", *(Path(path) for path in sys.path if path.endswith("site-packages")))):
        yield from ((name, site / name, PACKAGE_LIMIT) for name in LICENCES if (site / name).is_dir())


def _text(file: Path) -> str | None:
    try:
        text = file.read_text("utf-8")
    except (UnicodeDecodeError, OSError):
        return None
    fits = SHORTEST < len(text) < LONGEST and max(map(len, text.splitlines())) <= LONGEST_LINE
    return text if fits else None


def sources() -> Iterator[Source]:
    """All files of the corpus, without duplicates."""
    seen: set[str] = set()
    for package, root, limit in _roots():
        total = 0
        files = sorted(file for file in root.rglob("*.py") if not SKIPPED & set(file.relative_to(root).parts))
        random.Random(0).shuffle(files)
        for file in files:
            text = _text(file)
            if text is None or text in seen or total > limit:
                continue
            seen.add(text)
            total += len(text)
            yield Source(package, file, text)


def read_texts(file: Path = HELD) -> list[str]:
    """The texts in a JSON list, which may be xz-compressed."""
    content = file.read_bytes()
    texts: list[str] = json.loads(lzma.decompress(content) if file.suffix == ".xz" else content)
    return texts


def main() -> None:
    size: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for source in sources():
        size[source.package] += len(source.text)
        count[source.package] += 1
    for package, characters in size.most_common():
        print(f"{package:20} {count[package]:5} files {characters / 1e6:7.2f} MB  {LICENCES[package]}")
    print(f"{'together':20} {count.total():5} files {size.total() / 1e6:7.2f} MB")


if __name__ == "__main__":
    main()
