"""Who has consented to what is declared? Pure but for `ask_consent`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from provisioning.doctor.application import PUT_BACK
from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.entra.registration import Grant, Principal
from provisioning.entra.rules import Audience
from provisioning.errors import DirectoryFailure, DirectoryUnreadable

if TYPE_CHECKING:
    from provisioning.program.settings import Settings


def check_consent(
    scopes: Collection[str], grants: Iterable[Grant], audience: Audience, declared: bool, url: str
) -> Finding:
    """Who has consented to what. declared: whether the program itself consents for the whole tenant."""
    if audience is Audience.PERSONAL:
        return ok("each user consents at the first sign-in: there is no administrator of personal accounts")
    given = list(grants)
    everybody = {scope for grant in given if grant.everybody for scope in grant.scopes}
    # Declared is Microsoft Graph's permission; NocoBase may have asked for Exchange Online's of the same name.
    missing = [scope for scope in scopes if scope not in everybody]
    if not missing:
        return ok(f"for everybody in the tenant: {', '.join(scopes)}")
    users = {scope: sum(not grant.everybody and scope in grant.scopes for grant in given) for scope in missing}
    kinds = {
        "for everybody": [scope for scope in scopes if scope in everybody],
        "by single users": [f"{scope} ({count})" for scope, count in users.items() if count],
        "by nobody yet": [scope for scope, count in users.items() if not count],
    }
    said = "; ".join(f"{kind}: {', '.join(listed)}" for kind, listed in kinds.items() if listed)
    if declared:
        return failed(f"consent is declared for the tenant, and missing: {said}", PUT_BACK)
    return warning(said, f"If users are asked for an administrator's approval, one opens {url}")


def check_unreadable_consent(error: DirectoryUnreadable, url: str) -> Finding:
    """Consent could not be read, which neither the deployment nor mail needs."""
    said = f"it could not be read who has consented ({error.reason})"
    if error.failure is not DirectoryFailure.DENIED:
        return warning(said, error.remedy)
    return warning(said, f"To see it: grant Directory.Read.All. To give it for all, an administrator opens {url}")


def ask_consent(principal: Principal, settings: Settings, url: str) -> Finding:
    """Who has consented? url: where an administrator consents for everybody."""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    try:
        grants = directory.grants(principal.object_id)
    except DirectoryUnreadable as error:
        return check_unreadable_consent(error, url)
    return check_consent(settings.scopes, grants, settings.audience, settings.tenant_consent, url)
