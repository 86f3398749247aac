"""`python -m l4proxy` is the command `l4proxy`."""

import sys

from l4proxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
