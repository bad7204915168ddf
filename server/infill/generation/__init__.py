"""From an instruction to an edit: where the edit goes, the prompt for the model, and which part of its answer is kept. No LSP, sockets or files."""
