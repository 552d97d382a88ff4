"""`python -m shopferry.cli` is `shopferry`."""

import sys

from shopferry.cli import main

sys.exit(main())
