"""`python tests/simulation`: run as a directory, since a dependency ships a package named `tests`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parent.parent)

from simulation.run import main  # noqa: E402  # the line above is what makes it importable

if __name__ == "__main__":
    sys.exit(main())
