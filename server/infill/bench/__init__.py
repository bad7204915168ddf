"""How fast and how good, measured side by side: traces of typing, an editor that plays them, the peer, the report. Never timed tests."""
