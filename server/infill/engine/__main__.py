"""`python -m infill.engine`: the engine process. Started by `launch`, by hand only to look at it.

Nothing is ever printed to the standard output: its descriptor is pointed at the standard error before anything else happens, llama.cpp's own printing
included.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    from infill.engine.process import main

    sys.exit(main())
