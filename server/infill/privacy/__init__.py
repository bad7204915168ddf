"""Rules for what may be read and what may leave this machine: all other packages use them, and none may relax them.

`network` decides which hosts may be connected to, `files` which files may be read for a prompt. `secrets` masks keys, `text` cleans answers, `trust`
limits a workspace's settings. This package opens no connection, and no workspace setting weakens a rule.
"""
