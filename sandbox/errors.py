"""The sandbox's one exception: what happened, why, what to do, ready to be shown to a person."""

from __future__ import annotations


class SandboxError(Exception):
    """Something of the sandbox could not be installed, started or stopped.

    what: the event in one sentence. remedy: what the person can do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}\n  {remedy}")
        self.what = what
        self.remedy = remedy
