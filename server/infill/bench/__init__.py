"""Benchmarks of speed and quality: traces of typing, an editor that plays them, the peer and the report. Tests are never timed."""
