"""Runs the command line: `python -m infill` is the same as `infill`."""

from infill.cli import main

if __name__ == "__main__":
    main()
