"""Is the application in Entra ID the declared one, can users sign in to it, and who may change it?

The checks first, as pure functions; below them, the questions.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.entra.account import CHANGE_ANY, Account
from provisioning.entra.registration import Declared, Owner, Principal, Registration
from provisioning.entra.tags import STACK_TAG
from provisioning.errors import DirectoryUnreadable
from provisioning.foreign import counted, guid, listed, quoted
from provisioning.status.differences import (
    ASSIGNED_ONLY,
    REACTIVATE,
    RESTORE,
    disabled_difference,
    identity_differences,
    openings,
    owner_differences,
    permission_differences,
    redirect_uri_differences,
)

if TYPE_CHECKING:
    from provisioning.program.last_state import Deployed
    from provisioning.program.settings import Settings


PUT_BACK = "pulumi up"
"""Looks at what is there, and puts back what is declared."""


ENABLE = (
    "Ask who disabled it, and why; then enable it: Entra ID → Enterprise applications → Properties → Enabled for users "
    "to sign in. The next pulumi up enables it, too."
)

ASSIGN = (
    "If that is not meant: Entra ID → Enterprise applications → Properties → Assignment required. Else assign the "
    "users there, under Users and groups."
)

TAKE_OUT = "If it was made a moment ago: pulumi up. Else take it out of owners in Pulumi.<stack>.yaml."

CLOSE = (
    "pulumi up leaves it as it is. If nobody needs it, turn it off or remove it: Entra ID → App registrations → "
    "Authentication, Expose an API, and Certificates & secrets."
)


def check_application(declared: Declared, found: Registration | None) -> Finding:
    """Whether the application is there, with the declared name, audience and tags."""
    if found is None:
        return failed("it is not in Entra ID any more", RESTORE)
    disabled = disabled_difference(found)
    if disabled is not None:
        return failed(disabled, REACTIVATE)
    wrong = identity_differences(declared, found)
    if wrong:
        return failed("; ".join(wrong), PUT_BACK)
    return ok(f"{declared.display_name}, client ID {guid(found.client_id)}", found)


def check_permissions(declared: Declared, found: Registration) -> Finding:
    """Whether Entra ID has the declared permissions and no others."""
    wrong = permission_differences(declared, found)
    return failed("; ".join(wrong), PUT_BACK) if wrong else ok(", ".join(sorted(map(str, found.permissions))))


def check_redirect_uris(declared: Declared, found: Registration, deployed: Collection[str] = frozenset()) -> Finding:
    """Whether Entra ID has the redirect URIs of the next run and no others.

    deployed: those that the last run declared; the next one removes what it does not declare any more.
    """
    leaving = (found.redirect_uris & frozenset(deployed)) - declared.redirect_uris
    wrong = redirect_uri_differences(declared, replace(found, redirect_uris=found.redirect_uris - leaving))
    if wrong:
        return failed("; ".join(wrong), PUT_BACK)
    gone = "".join(f"; the next `pulumi up` removes {quoted(uri)}" for uri in sorted(leaving))
    return ok(listed(sorted(found.redirect_uris - leaving)) + gone)


def check_openings(state: Deployed, declared: Declared, found: Registration) -> Finding:
    """Whether others could use the application."""
    known = {secret.key_id for secret in state.secrets}
    foreign = [one for one in found.secrets if one.key_id not in known]
    opened = [*openings(found, declared), *(f"{one} is a client secret beside the stack's" for one in foreign)]
    return warning(counted(opened), CLOSE) if opened else ok("nothing that mail does not need")


def check_principal(found: Principal | None, named: Collection[str] = ()) -> Finding:
    """Whether users can sign in. named: the owners that it should have."""
    if found is None:
        return failed("there is none in this tenant, so every sign-in fails with AADSTS7000229", PUT_BACK)
    if not found.enabled:
        return failed("it is disabled, so nobody can sign in (AADSTS7000112)", ENABLE)
    if found.assignment_required:
        return warning(ASSIGNED_ONLY, ASSIGN, found)
    if missing := owner_differences(named, found.owners, "service principal"):
        return warning("; ".join(missing), PUT_BACK, found)
    return ok("there and enabled", found)


def check_owners(
    account: Account, owners: Collection[Owner], named: Collection[str] = (), gone: Collection[str] = ()
) -> Finding:
    """Whether `account` may change the application, which under OwnedBy takes being its owner.

    named: by the settings, as owners. gone: those of them that the tenant does not have.
    """
    if account.object_id in {owner.object_id for owner in owners}:
        missing = owner_differences({*named} - {*gone}, owners, "application")
        if gone:
            left = f"owners names {listed(sorted(gone))}, which this tenant does not have"
            return warning("; ".join([left, *missing]), "\n".join([TAKE_OUT, *([PUT_BACK] if missing else [])]))
        return warning("; ".join(missing), PUT_BACK) if missing else ok("whoever is signed in owns the application")
    said = "whoever is signed in is no owner of the application"
    own = guid(account.object_id, "<object id>")
    name_it = "" if own in named else f"pulumi config set --path 'owners[{len(named)}]' {own}, and "
    remedy = f"Have an owner run: {name_it}pulumi up."
    if account.application and account.granted.isdisjoint(CHANGE_ANY):
        return failed(f"{said}, and may change only what it owns", remedy)
    return warning(f"{said}; a role may still allow it to change it", remedy)


def declared_by(settings: Settings, state: Deployed | None = None) -> Declared:
    """What the settings declare. state: where the tag with the stack's name is recorded."""
    recorded = state.application.declared.tags if state and state.application else frozenset()
    return Declared(
        settings.application_name,
        settings.audience.value,
        frozenset(settings.redirect_uris),
        frozenset(settings.permissions),
        tags=frozenset([*settings.tags, *(tag for tag in recorded if tag.startswith(STACK_TAG))]),
    )


def ask_application(object_id: str, settings: Settings, state: Deployed) -> Finding:
    """Is it there?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    return check_application(declared_by(settings, state), directory.registration(object_id))


def ask_principal(client_id: str, settings: Settings, state: Deployed) -> Finding:
    """Can users sign in to it?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    # A run does not add each of those that the settings name: see `owners.plan_ownership`.
    own = state.principal.own_owners if state.principal else frozenset()
    return check_principal(directory.principal(client_id), own & frozenset(settings.owners))


def ask_owners(account: Account, registration: Registration, settings: Settings) -> Finding:
    """May whoever is signed in change it, and are those its owners whom the settings name?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    owners = directory.application_owners(registration.object_id)
    missing = {*settings.owners} - {owner.object_id for owner in owners}
    gone: frozenset[str] = frozenset()
    if missing:
        with suppress(DirectoryUnreadable):  # not everybody may look for an account
            gone = directory.gone(missing)
    return check_owners(account, owners, settings.owners, gone)
