"""What a job prints of `pulumi` and of files, so that no system takes a part of it for a command."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from provisioning.foreign import harmless_lines


def say(text: str) -> None:
    """Print a line that may hold what comes from outside."""
    print(harmless_lines(text), flush=True)


@contextmanager
def foreign(environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """While a program prints: on GitHub, commands are stopped until a token that the program does not know."""
    if environment.get("GITHUB_ACTIONS") != "true":
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        # A last line without its end would swallow the token.
        print(f"\n::{token}::", flush=True)
