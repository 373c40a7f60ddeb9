"""``python -m durable.lint``."""

import sys

from durable.lint.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
