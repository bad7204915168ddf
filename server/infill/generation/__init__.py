"""From an instruction to an edit. No LSP, no sockets, no files: what a person wants and where, what a model is asked, what of its answer is kept."""
