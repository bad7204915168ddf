"""What may be read and what may leave this machine: rules that every other room asks, and that no room may soften.

`network` says which hosts may be connected to, `files` which files may be read for a prompt, `secrets` hides what looks like a key, `text` cleans
answers, `trust` says what a workspace may set. Nothing here opens a connection, and no rule is weakened by anything that a workspace says.
"""
