"""`python -m infill` is `infill`."""

from infill.cli import main

if __name__ == "__main__":
    main()
