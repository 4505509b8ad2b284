"""`python -m tfdgm` is the command `tfdgm`."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Python put the current folder first on the path: a module of any name that lies there would be imported, and what
    # looks like an installed package there would offer plugins. A checkout that is the current folder stays.
    if os.path.realpath(sys.path[0]) == os.getcwd() != os.path.realpath(Path(__file__).parents[1]):
        del sys.path[0]
    from tfdgm.cli.main import run

    run()
