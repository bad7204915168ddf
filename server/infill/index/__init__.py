"""The index of each workspace folder: symbols, signatures, docstrings, and code chunks by the names in them, in one SQLite database.

`builder` writes it, in a separate low-priority process, one per user; `lookup` reads it. Text of files that the privacy rules exclude is never
stored. Only the builder imports tree-sitter. *Invariant:* no LSP, no engine; a missing or damaged index counts as empty.
"""
