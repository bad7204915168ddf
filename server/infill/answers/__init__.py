"""Extracts the code from the answers of chat models, without reasoning, prose, fences and marks. Pure; for `generation` and remote providers.

Every function gets the text so far. With `done` False, more text may follow; then only text with a certain meaning is returned. The result does not
depend on how the text was cut into pieces.
"""
