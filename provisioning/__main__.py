"""`python -m provisioning`."""

import os
import sys
from contextlib import suppress

from provisioning.interpreter import sentence_if_unusable

INTERRUPTED = 130
"""The exit code."""


def end_at_once() -> None:
    """End this process without waiting for its threads: one may hang in a request that nobody needs any longer."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a closed pipe, or a write that was interrupted
            stream.flush()
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    try:
        # The imports take a moment, in which Ctrl-C must not show a traceback either.
        with sentence_if_unusable("pulumi install"):
            from provisioning.cli import main

            main()
    except KeyboardInterrupt:
        end_at_once()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            end_at_once()
        raise
