"""The application in Entra ID: does the tenant's policy allow what is declared, and is there what was declared?

Judgement first, as pure functions; below it, who asks.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from provisioning.doctor.account import Account
from provisioning.doctor.runner import Finding, failed, ok, skipped, warning
from provisioning.entra.app_policies import SecretPolicy, why_secret_forbidden
from provisioning.entra.client_secret_plan import why_invalid_policy
from provisioning.entra.registration import Declared, Registration, differences
from provisioning.errors import DirectoryUnreadable

if TYPE_CHECKING:
    from provisioning.program.last_state import Deployed
    from provisioning.program.settings import Settings

PUT_BACK = "pulumi up --refresh"
"""Looks at what is there, and puts back what is declared."""


@dataclass(frozen=True)
class Deployment:
    """A stack that was deployed to its end. expires: the end of the secret in use. rotation: when the next is due."""

    object_id: str
    client_id: str
    expires: datetime
    rotation: datetime


def judge_state(state: Deployed) -> Finding:
    """Whether the stack was deployed to its end."""
    if state.application is None or state.expires is None or state.next_rotation is None:
        return skipped("this stack has not been deployed to its end yet", "pulumi up")
    found = Deployment(state.application.object_id, state.application.client_id, state.expires, state.next_rotation)
    return ok(f"deployed, client id {found.client_id}", found)


def judge_policy(policy: SecretPolicy, lifetime_days: int, retire_after_days: int) -> Finding:
    """Whether the tenant allows secrets that live `lifetime_days`. retire_after_days: as declared, for the remedy."""
    refusal = why_secret_forbidden(policy, lifetime_days)
    if refusal is None:
        return ok(f"allows client secrets of {lifetime_days} days")
    said = f"the tenant's policy {refusal}; declared are {lifetime_days} days"
    exempt = "have an administrator exempt the application by an app management policy of its own."
    if "days" not in refusal:
        return failed(said, exempt.capitalize())
    days = int(refusal.split()[-2])
    every = days // 2
    retire = min(retire_after_days, every - 1)
    if why_invalid_policy(days, every, retire):
        return failed(f"{said}; so short a lifetime leaves no time to rotate", exempt.capitalize())
    shorter = {"secretLifetimeDays": days, "rotateEveryDays": every}
    shorter |= {"retireAfterDays": retire} if retire != retire_after_days else {}
    commands = ", and ".join(f"pulumi config set {key} {value}" for key, value in shorter.items())
    return failed(said, f"{commands}; or {exempt}")


def judge_unreadable_policy(error: DirectoryUnreadable) -> Finding:
    """The policy could not be read, which the deployment itself does not need."""
    said = f"whether the tenant limits client secrets could not be read ({error.reason})"
    return warning(said, "If `pulumi up` is refused, it says so. To have it checked before: grant Policy.Read.All.")


def judge_registration(declared: Declared, found: Registration | None) -> Finding:
    """Whether Entra ID's application is the declared one."""
    if found is None:
        return failed("the application is not in Entra ID any more", PUT_BACK)
    wrong = differences(declared, found)
    return failed("; ".join(wrong), PUT_BACK) if wrong else ok(f"{found.display_name}, as it is declared", found)


def judge_principal(enabled: bool | None) -> Finding:
    """enabled: None if there is no service principal."""
    if enabled is None:
        return failed("the application has no service principal in this tenant, so nobody can sign in", PUT_BACK)
    if not enabled:
        return failed("the service principal is disabled, so nobody can sign in", PUT_BACK)
    return ok("there and enabled")


def judge_owners(account: Account, owners: Collection[str]) -> Finding:
    """Whether `account` may change the application, which under OwnedBy takes being its owner."""
    if account.object_id in owners:
        return ok("whoever is signed in owns the application")
    said = "whoever is signed in is no owner of the application"
    remedy = f"Have an owner run: pulumi config set --path 'owners[0]' {account.object_id}, and pulumi up."
    if account.application and "Application.ReadWrite.All" not in account.granted:
        return failed(f"{said}, and may change only what it owns", remedy)
    return warning(f"{said}; a role may still allow it to change it", remedy)


def judge_secret(deployed: Deployment, now: datetime) -> Finding:
    """Whether the client secret is valid, and rotated in time."""
    if deployed.expires <= now:
        return failed(f"it ended on {deployed.expires:%Y-%m-%d}: nobody's mail works", "pulumi up")
    left = f"valid until {deployed.expires:%Y-%m-%d}, {(deployed.expires - now).days} days"
    if deployed.rotation <= now:
        return warning(f"{left}; a new one is due since {deployed.rotation:%Y-%m-%d}", "pulumi up, best on a schedule")
    return ok(left)


def declared_by(settings: Settings) -> Declared:
    """What the settings declare."""
    return Declared(
        settings.application_name,
        settings.audience.value,
        frozenset(settings.redirect_uris),
        frozenset(settings.permissions),
    )


def ask_policy(object_id: str | None, settings: Settings) -> Finding:
    """Does the tenant allow secrets that live so long? object_id: None if there is no application yet."""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    try:
        policy = directory.secret_policy(object_id)
    except DirectoryUnreadable as error:
        return judge_unreadable_policy(error)
    return judge_policy(policy, settings.secret_lifetime_days, settings.retire_after_days)


def ask_registration(deployed: Deployment, settings: Settings) -> Finding:
    """Is the application there as it is declared?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    return judge_registration(declared_by(settings), directory.registration(deployed.object_id))


def ask_principal(deployed: Deployment) -> Finding:
    """Can anybody sign in to it?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    return judge_principal(directory.accepts_sign_ins(deployed.client_id))


def ask_owners(account: Account, registration: Registration) -> Finding:
    """May whoever is signed in change it?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    return judge_owners(account, directory.owners(registration.object_id))
