"""How what Entra ID and NocoBase show differs from what is declared, a sentence each; `doctor` uses them, too.

Pure functions over plain data.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from provisioning.entra.permissions import Permission
from provisioning.entra.registration import WEB, Declared, Owner, Principal, Registration
from provisioning.foreign import LONGEST_MESSAGE, MOST_LISTED, guid, one_line, quoted
from provisioning.program.last_state import Deployed, Push
from provisioning.status.read import HeldRow


def application_differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How Entra ID's application differs from the declared one; empty if it does not."""
    return (
        *identity_differences(declared, found),
        *redirect_uri_differences(declared, found),
        *permission_differences(declared, found),
    )


def identity_differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How name and audience differ, and which of the stack's own tags are missing."""
    said = []
    if found.display_name != declared.display_name:
        said.append(f"the application is called {quoted(found.display_name)} instead of '{declared.display_name}'")
    if found.audience != declared.audience:
        said.append(f"its audience is {quoted(found.audience)} instead of {declared.audience}")
    return (*said, *(f"the declared tag {quoted(tag)} is missing" for tag in sorted(declared.tags - found.tags)))


def audience_awaited(state: Deployed) -> tuple[str, ...]:
    """That the application has its earlier audience, until NocoBase uses a sign-in page of the one in the settings."""
    if state.application is None or state.application.awaited_audience is None:
        return ()
    present, awaited = state.application.declared.audience, state.application.awaited_audience
    return (f"its audience stays {present} until NocoBase was seen to use a sign-in page of {awaited}",)


def owner_differences(declared: Collection[str], found: Collection[Owner] | None, of: str) -> tuple[str, ...]:
    """Which owners of the stack's own are missing; others may be there, too. found: None if they are not told.

    of: what they own.
    """
    missing = () if found is None else sorted({*declared} - {owner.object_id for owner in found})
    return tuple(f"the declared owner {quoted(owner)} of the {of} is missing" for owner in missing)


def redirect_uri_differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How the redirect URIs differ; one of another platform is of no use to NocoBase's server."""
    misplaced = misplaced_redirect_uris(declared, found)
    return (
        *(
            f"the declared redirect URI {uri} is registered for the platform {platform} instead of {WEB}"
            for uri, platform in misplaced.items()
        ),
        *set_differences("redirect URI", declared.redirect_uris - misplaced.keys(), found.redirect_uris),
    )


def misplaced_redirect_uris(declared: Declared, found: Registration) -> dict[str, str]:
    """Declared redirect URI → the platform, for those that are registered for another platform than Web."""
    missing = declared.redirect_uris - found.redirect_uris
    return {uri: found.of_other_platforms[uri] for uri in sorted(missing & found.of_other_platforms.keys())}


def openings(found: Registration, declared: Declared) -> tuple[str, ...]:
    """What in the application others could use, beside what mail needs; not its client secrets. A clause each."""
    elsewhere = sorted(found.of_other_platforms.items() - misplaced_redirect_uris(declared, found).items())
    return (
        *found.weaknesses,
        *(f"it sends users to {quoted(uri)}, too ({platform})" for uri, platform in elsewhere),
        *(f"{certificate} signs in as it" for certificate in found.certificates),
    )


REACTIVATE = (
    "Ask who deactivated it, and why; then activate it: Entra ID → App registrations → Overview. What Microsoft "
    "disabled, its support enables again."
)
"""No `pulumi up` does it: the program does not declare whether the application is active."""

RESTORE = (
    "If it was deleted by mistake, restore it, within 30 days: Entra ID → App registrations → Deleted applications. "
    "That keeps its client ID. Then run `pulumi up`. Without that, `pulumi up` makes another one, and every user "
    "connects the mailbox again."
)
"""For an application that is gone. Source: Microsoft's page "Restore or remove a recently deleted application"."""


def disabled_difference(found: Registration) -> str | None:
    """That the application is deactivated; None if it is not. The remedy is REACTIVATE."""
    return f"the application was deactivated by {found.disabled}, so nobody can sign in" if found.disabled else None


def principal_difference(found: Principal | None) -> str | None:
    """Why a service principal lets nobody in; None if it does."""
    if found is None:
        return "it has no service principal in this tenant, so every sign-in fails with AADSTS7000229"
    return None if found.enabled else "its service principal is disabled, so nobody can sign in (AADSTS7000112)"


ASSIGNED_ONLY = "only users who are assigned to the application can sign in, all others get AADSTS50105"


def permission_differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How the permissions differ."""
    return set_differences("permission", declared.permissions, found.permissions)


def secret_differences(state: Deployed, found: Registration) -> tuple[str, ...]:
    """Which client secrets of the state are not in Entra ID any more."""
    stored = {secret.key_id for secret in found.secrets}
    return tuple(
        f"the client secret in slot {secret.slot} was removed"
        for secret in state.secrets
        if secret.key_id not in stored
    )


NOT_RESTARTED = "its configuration has new credentials, and it has not been restarted with them"
"""Of a NocoBase 3. The remedy is RESTART."""


RESTART = "Restart it, then run `pulumi up`."


def row_differences(state: Deployed, push: Push, row: HeldRow) -> tuple[str, ...]:
    """How a NocoBase's email settings differ from what it was given, a sentence each; empty if they do not."""
    reasons = [f"the last push failed: {one_line(push.problem, LONGEST_MESSAGE)}"] if push.problem else []
    if push.restart_due:
        # Its configuration is ahead of what it was verified to use.
        return (*reasons, NOT_RESTARTED)
    if row.client_id is None:
        reasons.append("it holds no email settings for Microsoft")
    elif row.client_id != push.client_id:
        reasons.append(f"it holds client ID {shown(row.client_id)} instead of {push.client_id}")
    elif row.client_secret is not None and row.client_secret != push.client_secret:
        reasons.append("it holds another client secret")
    elif row.client_secret is None and push.updated_at and row.updated_at != push.updated_at:
        reasons.append(f"its email settings were changed on {quoted(row.updated_at)}, and it hides the secret")
    if not push.problem and not any(push in state.used_by(secret) for secret in state.secrets):
        reasons.append(f"it was given a client secret that slot {push.slot} no longer holds")
    return tuple(reasons)


def set_differences(kind: str, declared: frozenset[Any], found: frozenset[Any]) -> tuple[str, ...]:
    """How two sets of such things differ."""
    return (
        *(f"the declared {kind} {item} is missing" for item in sorted(declared - found)),
        *(f"the {kind} {_named(item)} is not declared" for item in sorted(found - declared)[:MOST_LISTED]),
        *([f"{more} more {kind}s are not declared"] if (more := len(found - declared) - MOST_LISTED) > 0 else []),
    )


def _named(item: object) -> str:
    return str(item) if isinstance(item, Permission) else quoted(item)


def shown(client_id: str) -> str:
    """A client ID that somebody typed: what cannot be one may be a secret in the wrong field, and is not repeated."""
    return guid(client_id) if client_id else "none"
