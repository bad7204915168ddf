"""The short holes and instructions of a model check, and which holes suit a model. Pure data.

A hole's answer follows from the text on both sides of the cursor. Most answers cannot be derived from the prefix alone. A model that ignores the
suffix, or gets its parts in the wrong order, fills few holes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

HOLES = 12
CURSOR = "<CURSOR>"


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor position in a short file."""

    language: str
    path: str
    text: str
    """The file, with CURSOR at the position."""
    answers: tuple[str, ...]
    """Valid first lines; the first is the usual one."""

    @property
    def prefix(self) -> str:
        return self.text.partition(CURSOR)[0]

    @property
    def suffix(self) -> str:
        return self.text.partition(CURSOR)[2]

    def is_filled_by(self, answer: str) -> bool:
        """Whether the first line of an answer is right, ignoring white space."""
        line = "".join(answer.split("\n", maxsplit=1)[0].split())
        return any(line == "".join(right.split()) for right in self.answers)


def _solid(text: str) -> str:
    """The first line without white space."""
    return "".join(text.partition("\n")[0].split())


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """An instruction, and the words that every right answer contains."""

    instruction: str
    words: tuple[str, ...]

    def is_done_by(self, answer: str) -> bool:
        return all(word in answer for word in self.words)


TASKS = (
    Task(instruction="Write a Python function add(a, b) that returns the sum of a and b. Answer with code only.", words=("def add(", "return")),
    Task(instruction="Write a JavaScript function double(x) that returns x times 2. Answer with code only.", words=("double", "2")),
    Task(instruction="Write an SQL query that selects all rows of the table users. Answer with code only.", words=("SELECT", "users")),
)


LANGUAGES = {"py": "python", "js": "javascript", "ts": "typescript", "go": "go", "rs": "rust", "java": "java", "c": "c"}


def _hole(path: str, text: str, *answers: str) -> Hole:
    return Hole(language=LANGUAGES[path.rpartition(".")[2]], path=path, text=text, answers=answers)


def _python(text: str, *answers: str) -> Hole:
    return _hole("example.py", text, *answers)


PYTHON = (
    _python("def check(value):\n    if value is <CURSOR>\n        raise ValueError(\"no value\")\n    return value\n", "None:"),
    _python("import <CURSOR>\n\n\ndef read(text):\n    return json.loads(text)\n", "json"),
    _python("    @property\n    def name(self):\n        return self._<CURSOR>\n\n    @name.setter\n    def name(self, value):\n"
            "        self._name = value\n", "name"),
    _python("def area(<CURSOR>):\n    return width * height\n", "width, height", "height, width", "width: float, height: float"),
    _python("class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = <CURSOR>\n\n    def __str__(self):\n", "y"),
    _python("def read(path):\n    with open(path) as <CURSOR>\n        return file.read()\n", "file:"),
    _python("def total(numbers):\n    result = 0\n    for number in <CURSOR>\n        result += number\n    return result\n", "numbers:"),
    _python("def add(a, b):\n    return <CURSOR>\n\n\ndef sub(a, b):\n    return a - b\n", "a + b"),
    _python("def number(text):\n    try:\n        return int(text)\n    except <CURSOR>\n        return None\n", "ValueError:"),
    _python("def names(users):\n    return [user.name for user in <CURSOR>\n", "users]"),
    _python("class Stack:\n    def __init__(self):\n        self.items = <CURSOR>\n\n    def push(self, item):\n"
            "        self.items.append(item)\n", "[]", "list()"),
    _python("def larger(a, b):\n    if a > b:\n        return a\n    return <CURSOR>\n", "b"),
)  # fmt: skip
OTHERS = (
    _hole("example.js", "function add(a, b) {\n  return a <CURSOR>;\n}\n", "+ b"),
    _hole("main.go", "package main\n\nimport \"fmt\"\n\nfunc add(a int, b int) int {\n\treturn a <CURSOR>\n}\n\n"
          "func main() {\n\tfmt.Println(add(1, 2))\n}\n", "+ b"),
    _hole("main.rs", "fn area(<CURSOR>) -> u32 {\n    width * height\n}\n", "width: u32, height: u32", "height: u32, width: u32"),
    _hole("Point.java", "class Point {\n    private final int x;\n\n    Point(int x) {\n        this.x = <CURSOR>;\n    }\n}\n", "x"),
    _hole("example.ts", "const names: string[] = users.map((<CURSOR>) => user.name);\n", "user"),
    _hole("main.c", "#include <<CURSOR>>\n\nint main(void) {\n    printf(\"hello\\n\");\n    return 0;\n}\n", "stdio.h"),
    _hole("example.js", "for (const item of <CURSOR>) {\n  total += item.price;\n}\nconsole.log(items.length, total);\n", "items"),
    _hole("main.go", "value, err := strconv.Atoi(text)\nif <CURSOR> {\n\treturn 0, err\n}\nreturn value, nil\n", "err != nil"),
    _hole("main.rs", "let mut total = 0;\nfor number in <CURSOR> {\n    total += number;\n}\nprintln!(\"{} {}\", numbers.len(), total);\n",
          "numbers", "&numbers", "numbers.iter()", "numbers.clone()"),
    _hole("Main.java", "for (String name : <CURSOR>) {\n    System.out.println(name);\n}\nSystem.out.println(names.size());\n", "names"),
)  # fmt: skip


def holes(languages: Sequence[str]) -> list[Hole]:
    """HOLES holes for a check: first those of the model's languages in turn (of all languages if none are given), then those of the others."""
    every = [*PYTHON, *OTHERS]
    wanted = [*dict.fromkeys(languages or [hole.language for hole in every])]
    of_each = [[hole for hole in every if hole.language == language] for language in wanted]
    longest = max(map(len, of_each), default=0)
    chosen = [found[turn] for turn in range(longest) for found in of_each if turn < len(found)]
    return [*chosen, *(hole for hole in every if hole not in chosen)][:HOLES]
