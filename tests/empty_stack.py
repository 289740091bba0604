"""A stack without the second that `pulumi stack init` takes."""

from __future__ import annotations

import json
from hashlib import sha256

from provisioning import pins

VERSION = f"v{pins.version(pins.CLI)}"


def checkpoint(project: str, name: str, salt: str) -> str:
    """The state that `pulumi stack init` writes. salt: `encryptionsalt` of the stack's settings.

    Without the manifest, `pulumi preview` of a program that refers to its own stack panics.
    """
    latest = {
        # The engine compares the two.
        "manifest": {"time": "2026-11-21T00:00:00Z", "magic": sha256(VERSION.encode()).hexdigest(), "version": VERSION},
        "secrets_providers": {"type": "passphrase", "state": {"salt": salt}},
        "metadata": {},
    }
    return json.dumps({"version": 3, "checkpoint": {"stack": f"organization/{project}/{name}", "latest": latest}})
