"""The bundled model recites no licence header of its training corpus at the start of a file."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

import pytest

from infill import paths
from infill.ask import Delta, Stop
from infill.completion.answer import Answer
from infill.completion.place import place_of
from infill.completion.types import CompletionRequest
from infill.engine.protocol import Complete, Done, Text
from infill.engine.runtime import Runtime
from infill.models.fit import Plan
from infill.models.store import ModelFile

LONGEST = 40
HEADERS = """
# This file is part of Hypothesis, which may be found at
# https://github.com/HypothesisWorks/hypothesis/
#
# Copyright the Hypothesis Authors.
# Individual contributors are listed in AUTHORS.rst and the git log.
#
# This Source Code Form is subject to the terms of the Mozilla Public License,
# v. 2.0. If a copy of the MPL was not distributed with this file, You can
# obtain one at https://mozilla.org/MPL/2.0/.

# Copyright (c) Meta Platforms, Inc. and affiliates.
#
# This source code is licensed under the MIT license found in the
# LICENSE file in the root directory of this source tree.

    :copyright: Copyright 2006-2024 by the Pygments team, see AUTHORS.
    :license: BSD, see LICENSE for details.

# Copyright (c) IPython Development Team.
# Distributed under the terms of the Modified BSD License.

# Licensed to PSF under a Contributor Agreement.

# Copyright (c) 2009, Giampaolo Rodola'. All rights reserved.
# Use of this source code is governed by a BSD-style license that can be
# found in the LICENSE file.

# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
"""
"""Headers from packages of the corpus."""


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    file = ModelFile(id="local:bundled", title="bundled", path=paths.bundled_model(), fim_order="spm")
    runtime = Runtime.load(file, Plan(threads=1, threads_batch=1, context=1024), lambda _: True)
    yield runtime
    runtime.close()


def suggested(runtime: Runtime, prefix: str, suffix: str) -> str:
    """The suggestion at a cursor, made from the model's whole answer."""
    answer = Answer(place_of(CompletionRequest(uri="a", path="a.py", language="python", prefix=prefix, suffix=suffix)))
    asked = Complete(id=0, model="", slot="a", prefix=prefix, suffix=suffix, path="a.py", stop=Stop(max_tokens=64))
    for frame in runtime.complete(asked):
        if isinstance(frame, Text):
            answer.apply(Delta(frame.text))
        elif isinstance(frame, Done):
            answer.apply(frame.finishes[0])
    runtime.forget("a")
    answer.close()
    return "".join(suggestion.text for suggestion in answer.rest(""))


@pytest.mark.parametrize("suffix", ["", "\n", "\n\nimport os\n", "\n\ndef main():\n    pass\n"])
@pytest.mark.parametrize("prefix", ["", "\n", "#", "# ", "# This", '"""', '"""\n', "#!/usr/bin/env python3\n", "# -*- coding: utf-8 -*-\n#"])
def test_the_head_of_a_file_is_never_a_licence_header_of_the_corpus(runtime: Runtime, prefix: str, suffix: str) -> None:
    text = suggested(runtime, prefix, suffix)
    found = SequenceMatcher(None, text, HEADERS, autojunk=False).find_longest_match()
    assert found.size <= LONGEST, text[found.a : found.a + found.size]
