"""`python -m l4proxy.dataplane`: a worker, started by the supervisor on inherited descriptors."""

import sys

from l4proxy.dataplane.worker import main

sys.exit(main(sys.argv[1:]))
