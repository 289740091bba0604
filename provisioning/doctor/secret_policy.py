"""Does the tenant's policy allow the client secrets that are declared? Pure but for `ask_policy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.entra.app_policies import SecretPolicy, why_secret_forbidden
from provisioning.entra.client_secret_plan import why_invalid_policy
from provisioning.errors import DirectoryFailure, DirectoryUnreadable

if TYPE_CHECKING:
    from provisioning.program.settings import Settings


def check_policy(policy: SecretPolicy, lifetime_days: int, retire_after_days: int) -> Finding:
    """Whether the tenant allows secrets that live `lifetime_days`. retire_after_days: as declared, for the remedy."""
    forbidden = why_secret_forbidden(policy, lifetime_days)
    if forbidden is None:
        return ok(f"allows client secrets of {lifetime_days} days")
    said = f"the tenant's policy {forbidden.reason}; declared are {lifetime_days} days"
    exempt = "have an administrator exempt the application by an app management policy of its own."
    if forbidden.longest is None:
        return failed(said, exempt.capitalize())
    days = forbidden.longest.days
    every = days // 2
    retire = min(retire_after_days, every - 1)
    if why_invalid_policy(days, every, retire):
        return failed(f"{said}; so short a lifetime leaves no time to rotate", exempt.capitalize())
    shorter = {"secretLifetimeDays": days, "rotateEveryDays": every}
    shorter |= {"retireAfterDays": retire} if retire != retire_after_days else {}
    commands = [f"pulumi config set {key} {value}" for key, value in shorter.items()]
    return failed(said, "\n".join([*commands, f"or {exempt}"]))


def check_unreadable_policy(error: DirectoryUnreadable) -> Finding:
    """The policy could not be read, which the deployment itself does not need."""
    said = f"whether the tenant limits client secrets could not be read ({error.reason})"
    if error.failure is not DirectoryFailure.DENIED:
        return warning(said, error.remedy)
    return warning(said, "If `pulumi up` is refused, it says so. To have it checked before: grant Policy.Read.All.")


def ask_policy(object_id: str | None, settings: Settings) -> Finding:
    """Does the tenant allow secrets that live so long? object_id: None if there is no application yet."""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    try:
        policy = directory.secret_policy(object_id)
    except DirectoryUnreadable as error:
        return check_unreadable_policy(error)
    return check_policy(policy, settings.secret_lifetime_days, settings.retire_after_days)
