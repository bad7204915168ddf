"""Reads what chat models write: the code in an answer, without reasoning, prose, fences and marks. Pure; for `generation` and remote providers.

Every function takes the text so far and says what it means. `done` is False while more may come: then nothing is returned that could turn out to
be something else. How the text was cut into pieces makes no difference.
"""
