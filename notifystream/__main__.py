"""`python -m notifystream` is the console command."""

import sys

from notifystream.cli import main

sys.exit(main())
