"""`python -m provisioning`."""

import sys

if __name__ == "__main__":
    try:
        # The imports take a moment, in which Ctrl-C must not show a traceback either.
        from provisioning.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)
