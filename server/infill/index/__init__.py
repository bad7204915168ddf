"""An index of each workspace: symbols, signatures, docstrings, and chunks of code by the names in them, in one SQLite database per folder.

`builder` writes it, in a low-priority process of its own, one for each user of a machine; `lookup` reads it. Text of files that the privacy rules
exclude never enters it. Only the builder imports tree-sitter. *Invariant:* no LSP, no engine; a missing or damaged index is an empty one.
"""
