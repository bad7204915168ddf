"""From recent edits to the next one. *Invariant:* no LSP, no I/O, no clock other than the one passed in."""
