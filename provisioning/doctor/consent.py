"""Who has to consent to what is declared, and who has? Pure but for those that ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from provisioning.doctor.application import PUT_BACK
from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.entra import consent
from provisioning.entra.consent import Consenter, Rule
from provisioning.entra.registration import Grant, Principal
from provisioning.errors import DirectoryFailure, DirectoryUnreadable

if TYPE_CHECKING:
    from provisioning.program.settings import Settings

AFTER = f"After `pulumi up`: {consent.STEP}\n{consent.BY_THE_PROGRAM}"
"""What to do where users cannot consent."""


def check_rule(found: Rule, declared: bool, deployed: bool) -> Finding:
    """Who has to consent, as the tenant's policy says. declared: as below.

    deployed: whether there is a check of who has consented, which then tells what to do.
    """
    if declared:
        return ok(f"{found.said}; this program does it (consent is tenant)", found)
    if found.who is Consenter.USERS or (deployed and found.who is Consenter.ADMINISTRATOR):
        return ok(found.said, found)
    return warning(found.said, AFTER, found)


def check_unreadable_rule(error: DirectoryUnreadable, deployed: bool) -> Finding:
    """The policy could not be read, which the deployment itself does not need. deployed: as above."""
    found, remedy = consent.unread(error.reason), error.remedy
    if error.failure is DirectoryFailure.DENIED:
        remedy = "To have it checked: grant Policy.Read.All."
    return warning(found.said, remedy if deployed else f"{remedy}\n{AFTER}", found)


def check_unread_rule() -> Finding:
    """Nobody wants the policy to be read."""
    found = consent.unread("nobody asked")
    return warning(found.said, AFTER, found)


def check_consent(scopes: Collection[str], grants: Iterable[Grant], declared: bool, found: Rule) -> Finding:
    """Who has consented to what. declared: whether the program itself consents for the whole tenant.

    found: who has to consent in this tenant.
    """
    given = consent.given(scopes, grants)
    if not given.missing:
        return ok(given.said)
    if declared:
        return failed(f"consent is declared for the tenant, and missing: {given.said}", PUT_BACK)
    said = f"{given.said}; {found.said}"
    if found.who is Consenter.USERS:
        return ok(said)
    return warning(said, f"{consent.STEP}\n{consent.BY_THE_PROGRAM}")


def check_unreadable_consent(error: DirectoryUnreadable) -> Finding:
    """Consent could not be read, which neither the deployment nor mail needs."""
    said = f"it could not be read who has consented ({error.reason})"
    if error.failure is not DirectoryFailure.DENIED:
        return warning(said, error.remedy)
    return warning(said, f"To see it: grant Directory.Read.All.\n{consent.STEP}")


def ask_rule(settings: Settings, deployed: bool) -> Finding:
    """Who has to consent in the tenant?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    try:
        found = consent.rule(directory.consent_policies(), settings.scopes)
    except DirectoryUnreadable as error:
        return check_unreadable_rule(error, deployed)
    return check_rule(found, settings.tenant_consent, deployed)


def ask_consent(principal: Principal, settings: Settings, found: Rule) -> Finding:
    """Who has consented? found: who has to in this tenant."""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    try:
        grants = directory.grants(principal.object_id)
    except DirectoryUnreadable as error:
        return check_unreadable_consent(error)
    if principal.assignment_required:
        found = consent.rule((), settings.scopes, assignment_required=True)
    return check_consent(settings.scopes, grants, settings.tenant_consent, found)
