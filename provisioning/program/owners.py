"""Who is to own the application and its service principal: what a run plans, asks and says of it.

The rules are in `entra.ownership`; here they meet the settings, the caller and the last state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi

from provisioning.entra import rules
from provisioning.entra.account import (
    CHANGE_ANY,
    CHANGE_OWN,
    account_of,
    depends_on_people,
    read_claims,
    why_may_not_add_owners,
)
from provisioning.entra.ownership import Owners, Wanted, last_deployer_leaves, plan_owners, reject_own_removal
from provisioning.entra.registration import Owner
from provisioning.errors import DirectoryUnreadable, Problem, ProvisioningError, SettingsError
from provisioning.program.caller import Caller
from provisioning.program.last_state import Deployed
from provisioning.program.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """Who is to own the application and its service principal after a run.

    always: who has to be among them. left: the named owners who have left the tenant. reads_only: whether the caller
    only previews, and is left out. warnings: what a person should know of it.
    """

    of_application: Owners
    of_principal: Owners
    always: frozenset[str]
    left: frozenset[str]
    reads_only: bool
    warnings: tuple[str, ...]


def plan_for(caller: Caller, settings: Settings, last: Deployed) -> Ownership:
    """The owners of a run by `caller`. Entra ID is asked only if they change.

    Raises CallerLockedOut, SettingsError and DirectoryUnreadable.
    """
    reads_only = previews_without_rights(caller, last)
    wanted = Wanted(
        caller=None if reads_only else caller.object_id,
        named=settings.owners,
        former=settings.former_owners,
        application_calls=caller.application and not reads_only,
    )
    wanted, of_gone = without_gone(wanted, last)
    of_application, of_principal, warning = plan_ownership(wanted, last, adopted=settings.protect_application)
    reject_too_many_owners((of_application, of_principal))
    return Ownership(
        of_application=of_application,
        of_principal=of_principal,
        always=wanted.always,
        left=frozenset(settings.owners) - frozenset(wanted.named),
        reads_only=reads_only,
        warnings=(*of_gone, *([warning] if warning else [])),
    )


def reject_too_many_owners(planned: Sequence[Owners]) -> None:
    """Raise SettingsError if an object would have more owners than Entra ID allows."""
    why = rules.why_too_many_owners(max(len(owners.object_ids) for owners in planned))
    if why is not None:
        remedy = "name those that are no longer needed in formerOwners: `status` lists them"
        raise SettingsError([Problem("owners", None, why, remedy)])


def previews_without_rights(caller: Caller, last: Deployed) -> bool:
    """Whether this is a preview by an application that may change no application, such as bootstrap's for previews.

    Whoever deploys is another account then, so the preview shows no owner that no deployment would add. Entra ID is
    asked for a token only if the caller is an application and not an owner yet.
    """
    objects = [one for one in (last.application, last.principal) if one is not None]
    owns = bool(objects) and all(caller.object_id in one.owners for one in objects)
    if not pulumi.runtime.is_dry_run() or not caller.application or owns:
        return False
    # 0.4 s of imports (msgraph) that only such a preview needs.
    from provisioning.entra import microsoft_graph  # noqa: PLC0415

    try:
        granted = account_of(read_claims(microsoft_graph.caller_token())).granted
    except ProvisioningError:
        # It may have them; what is really in its way says so itself.
        return False
    return granted.isdisjoint({CHANGE_OWN, *CHANGE_ANY})


def deployer_not_shown(named: Sequence[str], of_stack: str) -> str:
    """What a reading preview of the first deployment says of its owners. named: those in the stack's settings.

    A policy pack counts what the preview shows.
    """
    return (
        "Owners: this account only previews. The one that deploys becomes an owner, too; a preview shows and counts it "
        f"if owners names it: pulumi config set --stack {of_stack} --path 'owners[{len(named)}]' <its object id>"
    )


def warn_of_added_owners(caller: Caller, planned: Sequence[Owners]) -> list[str]:
    """A warning if a pipeline is to add other owners, and its access token lacks the permission for that.

    Entra ID is asked for a token only if there are any; without one there is no warning.
    """
    added = {owner for owners in planned for owner in owners.added} - {caller.object_id}
    if not caller.application or not added:
        return []
    # 0.4 s of imports (msgraph) that only a change needs.
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415

    try:
        account = account_of(read_claims(microsoft_graph.caller_token()))
        people = directory.people(added) if depends_on_people(account, added) else ()
    except ProvisioningError:
        # A warning must not end the run; what is really in its way says so itself.
        return []
    missing = why_may_not_add_owners(account, added, people)
    return (
        [f"Owners: {caller.object_id} lacks a permission: {missing[0]}. To correct it: {missing[1]}"] if missing else []
    )


def without_gone(wanted: Wanted, last: Deployed) -> tuple[Wanted, list[str]]:
    """`wanted` without named owners who are not in the tenant any more, and a warning for each of them.

    Entra ID removes them from the owners, and would reject them in each run: no secret would be rotated any more. It is
    asked only if somebody is missing; where it does not say, they stay. So does whom the last run did not know as an
    owner: an account that was made a moment ago is not found everywhere yet.
    """
    if last.application is None:
        return wanted, []
    known = last.application.own_owners | last.application.left_owners
    missing = {*wanted.named} - {*wanted.former} - last.application.owners
    # An earlier version recorded nobody.
    missing &= known or missing
    if not missing:
        return wanted, []
    # 0.4 s of imports (msgraph) that only a change needs.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        gone = directory.gone(missing)
    except DirectoryUnreadable:
        return wanted, []
    new = "" if known else "If it was made a moment ago, run `pulumi up` again in a minute. Else t"
    return replace(wanted, named=[one for one in wanted.named if one not in gone]), [
        f"The setting owners names {one}, which this tenant does not have, so it is left out. {new or 'T'}ake it out "
        "of owners in Pulumi.<stack>.yaml."
        for one in sorted(gone)
    ]


def plan_ownership(wanted: Wanted, last: Deployed, adopted: bool = False) -> tuple[Owners, Owners, str | None]:
    """The owners of the application and of its service principal, and a warning if no deployer is left among them.

    adopted: whether somebody made the application by hand. Whoever owned it then, and not its service principal, is not
    added there: that could take a right that the caller lacks. Entra ID is asked only if they change.
    Raises CallerLockedOut and DirectoryUnreadable.
    """
    reject_own_removal(wanted)

    def of_application() -> tuple[Owner, ...]:
        # 0.4 s of imports (msgraph) that only a change needs.
        from provisioning.entra import directory  # noqa: PLC0415

        return directory.application_owners(last.application.object_id) if last.application else ()

    def of_principal() -> tuple[Owner, ...]:
        from provisioning.entra import directory  # noqa: PLC0415 - as above

        return directory.principal_owners(last.principal.object_id) if last.principal else ()

    application = plan_owners(wanted, last.application.owners if last.application else None, of_application)
    if last.principal is None:
        # Whoever may look after the application has to look after its service principal, too.
        return application, Owners(application.object_ids), last_deployer_leaves(wanted, application, "application")
    left_out = last.application.owners - last.principal.owners if adopted and last.application else frozenset()
    # Whom a run has made an owner there is no such right.
    left_out -= last.principal.own_owners
    principal = plan_owners(wanted, last.principal.owners, of_principal, left_out)
    return (
        application,
        principal,
        last_deployer_leaves(wanted, application, "application")
        or last_deployer_leaves(wanted, principal, "service principal"),
    )
