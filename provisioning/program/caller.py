"""Who runs this program, as the azuread provider has signed in: asked before anything else of Entra ID."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_azuread as azuread
from pulumi.runtime import config

from provisioning.ending import EngineGone, end_quietly, heard_out
from provisioning.entra.sign_in_settings import Method, rejected, sign_in_settings, use_configuration
from provisioning.program.provider import VERSION

CANCELLED = "context canceled"
"""What the engine answers where it ends the run because a provider cannot sign in (3.274; 3.255 told the reason)."""


@dataclass(frozen=True)
class Caller:
    """Who runs this program.

    tenant_id: as the settings of the sign-in name it. application: whether it is known to be one.
    """

    object_id: str
    tenant_id: str
    application: bool


def sign_in() -> Caller:
    """Have this program sign in to Entra ID as the azuread provider does, and ask that who it is.

    Raises SignInUnusable for settings that this program's own reads do not support, and SignInRejected.
    """
    use_configuration({**config.get_config_env(), **config.CONFIG.get()})
    method = sign_in_settings().method
    with heard_out():
        try:
            found = azuread.get_client_config(opts=pulumi.InvokeOptions(version=VERSION))
        except Exception as error:  # the SDK raises no narrower one
            if not isinstance(error, EngineGone) and CANCELLED not in str(error):
                raise rejected(str(error)) from None
            _raise_if_rejected()
            end_quietly()
    return Caller(found.object_id, found.tenant_id, application=method is not Method.AZURE_CLI)


def _raise_if_rejected() -> None:
    """Raise SignInRejected if Entra ID rejects the sign-in by the same settings."""
    # 0.4 s of imports (msgraph) that only a failure needs.
    from provisioning.entra import microsoft_graph  # noqa: PLC0415

    microsoft_graph.caller_token()
