"""The parts of hack/bench."""

import sys


def fail(message, code=1):
    print(f"hack/bench: FAILED: {message}", file=sys.stderr)
    sys.exit(code)
