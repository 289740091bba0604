"""The tenant that a stack names, for everything of this process that signs in to Entra ID."""

from __future__ import annotations

import os

TENANT = "azuread:tenantId"
"""The azuread provider's own configuration key; it wins over ARM_TENANT_ID."""


def use_tenant(configured: str | None) -> None:
    """Use the tenant with this id from now on; None leaves the choice to the environment."""
    if configured:
        os.environ["ARM_TENANT_ID"] = configured
