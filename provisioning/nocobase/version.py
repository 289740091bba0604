"""Which version of NocoBase is at an address, and where that version takes its mail credentials from.

NocoBase 2 takes them by its REST API, which `push` uses. NocoBase 3 takes them only from its server's config.yml
(source: its documentation of the Mail plugin). This program does not write that file, but says what belongs into it.
"""

from __future__ import annotations

import re
from enum import StrEnum

from provisioning import errors


class Target(StrEnum):
    """Where a NocoBase takes its mail credentials from."""

    REST = "REST API"
    CONFIG_YML = "config.yml"


def target_of(version: str) -> Target:
    """Where the NocoBase of this version, as numbered_version returns it, takes its mail credentials from."""
    return Target.CONFIG_YML if int(version.partition(".")[0]) >= 3 else Target.REST


def numbered_version(text: object) -> str | None:
    """The numbers of the version that a server reports, like 2.2.15; None if `text` is not a version.

    The rest of the text is dropped, because errors repeat the version.
    """
    found = re.match(r"v?(\d{1,4}(?:\.\d{1,4}){1,3})(?!\w)", text) if isinstance(text, str) else None
    return found[1] if found else None


def config_yml() -> str:
    """The lines of NocoBase 3's config.yml that hold the credentials, with placeholders for both."""
    return "\n".join(
        (
            "mail:",
            "  providers:",
            "    outlook:",
            "      type: microsoft",
            "      tenant: common  # a tenant's ID where only its accounts may sign in",
            "      clientId: <client ID of the application>",
            "      clientSecret: <value of its client secret>",
        )
    )


def callback(url: str, app: str | None) -> str:
    """Where NocoBase 3 has Microsoft send users back to, unless its mail.oauthCallbackUrl is set."""
    return f"{url}{f'/apps/{app}' if app else ''}/mail/oauth/callback"


def not_by_rest(url: str, app: str | None, version: str, why: str) -> errors.CredentialsInFile:
    """The error for a NocoBase that takes its credentials from config.yml."""
    return errors.CredentialsInFile(
        f"NocoBase at {url} is version {version}, which takes mail credentials from its server's config.yml only; "
        "this program serves NocoBase 2",
        why,
        "Put these lines into config.yml, give the application in Entra ID the redirect URI "
        f"{callback(url, app)}, and restart NocoBase:\n{config_yml()}",
    )
