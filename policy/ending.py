"""How the pack ends: the engine sends it SIGINT, after a run as when one is cancelled. There is nothing to save."""

import os
import signal


def end_quietly_when_told() -> None:
    """End at once, without a traceback, also while packages are being imported."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
