"""The corpus of the bundled model: files without licence headers, of licences that allow it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).parents[3] / "server" / "training" / "corpus.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("training_corpus", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


corpus = _load()


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("# Copyright (c) 2020 by the authors.\n#\n# Licensed under the MIT licence.\n\nimport os\n", "import os\n"),
        ("#!/usr/bin/env python3\n# Copyright 2020\nimport os\n", "#!/usr/bin/env python3\nimport os\n"),
        ("# This file is part of a project.\n\nimport os\n", "import os\n"),
        (
            '"""\n    a.b\n\n    :copyright: 2006 by the team,\n        see AUTHORS.\n    :license: BSD, see LICENSE.\n"""\nimport os\n',
            '"""\n    a.b\n\n"""\nimport os\n',
        ),
        ("# Reads files.\nimport os\n", "# Reads files.\nimport os\n"),
        ("import os\n\n# Copyright of what is read\nx = 1\n", "import os\n\n# Copyright of what is read\nx = 1\n"),
        ("", ""),
    ],
)
def test_licence_headers_are_left_out_and_nothing_else(text: str, stripped: str) -> None:
    assert corpus.without_header(text) == stripped


LINES = st.sampled_from(["# Copyright (c) 2020\n", "# note\n", "\n", "import os\n", "x = 1  # Copyright\n", "#!/bin/python\n", ":license: BSD\n"])


@given(st.lists(LINES, max_size=8).map("".join))
def test_no_header_is_left_and_no_code_is_lost(text: str) -> None:
    stripped = corpus.without_header(text)
    assert [line for line in stripped.split("\n") if line[:1] in {"i", "x"}] == [line for line in text.split("\n") if line[:1] in {"i", "x"}]
    assert "# Copyright" not in stripped.partition("import")[0].partition("x =")[0]
    assert corpus.without_header(stripped) == stripped


def test_packages_whose_licence_asks_for_more_are_not_taken() -> None:
    assert "hypothesis" not in corpus.LICENCES
    assert not any("MPL" in licence or "GPL" in licence for licence in corpus.LICENCES.values())
