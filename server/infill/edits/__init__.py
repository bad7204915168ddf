"""From the edits that were made to the next one. *Invariant:* no LSP, no I/O, no clock but the one that is passed in."""
