"""Which kind of NocoBase is at an address, and so the place that its mail credentials have to go to.

NocoBase 2 takes them by its REST API, which is what `push` does. NocoBase 3 takes them from its server's
config.yml alone (source: its documentation of the Mail plugin); this program does not write that file, and says what
belongs into it. A program that writes it would be a second target: it starts from `target_of`.
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
    """Where the NocoBase of this version, as numbered_version gives it, takes its mail credentials from."""
    return Target.CONFIG_YML if int(version.partition(".")[0]) >= 3 else Target.REST


def numbered_version(text: object) -> str | None:
    """The numbers of a version that a server calls its own, like 2.2.15; None where it is none.

    Nothing else of the text is kept: it is repeated in errors.
    """
    found = re.match(r"v?(\d{1,4}(?:\.\d{1,4}){1,3})(?!\w)", text) if isinstance(text, str) else None
    return found[1] if found else None


def config_yml() -> str:
    """The lines of NocoBase 3's config.yml that hold the credentials, with words in place of both."""
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
    """Where NocoBase 3 has Microsoft send users back to, unless its mail.oauthCallbackUrl says otherwise."""
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
