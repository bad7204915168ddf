"""`python -m infill.engine`: the engine process. `launch` starts it; start it by hand only for debugging.

Nothing is written to stdout: its file descriptor is redirected to stderr first, so that llama.cpp's own output goes there too.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    from infill.engine.process import main

    sys.exit(main())
