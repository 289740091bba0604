"""The policy pack that validates every preview and deployment of a pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "POLICY_PACK"
"""The pack's folder, and after an equals sign its settings: `policy=policy/config.json`."""


def options(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What `pulumi preview` and `pulumi up` are given; nothing without a pack."""
    pack, _, settings = environment.get(VARIABLE, "").partition("=")
    if not pack:
        return ()
    return ("--policy-pack", pack, *(("--policy-pack-config", settings) if settings else ()))
