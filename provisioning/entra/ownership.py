"""Who owns an application, when it was made and by whom; which owners a run adds. Pure.

A run adds its caller to the owners and drops nobody who is not named: the azuread provider removes every owner that is
not declared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from provisioning.entra.registration import Candidate, Owner
from provisioning.errors import CallerLockedOut, NameTaken
from provisioning.foreign import counted, guid, quoted

CLIENT_ID = "<client ID>"
"""What a command names where no id is known that can be copied."""

SERVICE_PRINCIPAL = "service principal"
"""The kind of an owner that is an application, such as a pipeline's."""


MOST_AT_CREATION = 20
"""How many owners the azuread provider names in the request that creates an object; it adds the others one by one."""


@dataclass(frozen=True)
class Wanted:
    """Who is to own what a run declares, by object ids.

    caller: None where it is not to be one. former: those who are no longer to, named on purpose. application_calls:
    whether the caller is known to be one.
    """

    caller: str | None
    named: Collection[str] = ()
    former: Collection[str] = ()
    application_calls: bool = False

    @property
    def always(self) -> frozenset[str]:
        """Who has to be among the owners after the run."""
        return frozenset({*self.named, *({self.caller} if self.caller else ())}) - frozenset(self.former)


@dataclass(frozen=True)
class Owners:
    """The owners of one object after a run. as_they_are: nothing is to change, not even what the state does not know.

    present: those that Entra ID had, where it was asked.
    """

    object_ids: tuple[str, ...]
    as_they_are: bool = False
    present: tuple[Owner, ...] = ()

    @property
    def added(self) -> frozenset[str]:
        """Those that the azuread provider adds one by one: to what exists already, or beyond those of its creation."""
        if self.as_they_are:
            return frozenset()
        if self.present:
            return frozenset(self.object_ids) - {owner.object_id for owner in self.present}
        return frozenset(self.object_ids[MOST_AT_CREATION:])


def plan_owners(
    wanted: Wanted,
    held: Collection[str] | None,
    read: Callable[[], Iterable[Owner]],
    left_out: Collection[str] = (),
) -> Owners:
    """The owners of one object.

    held: those that this run's refresh has found, else those of the state; None if the object is yet to be created.
    read: those that Entra ID has now. It is asked only if there is something to change, because the azuread provider
    then compares with these, and removes whoever is not declared. left_out: those who are not added.
    """
    if held is None:
        return Owners(tuple(sorted(wanted.always)))
    always = wanted.always - frozenset(left_out)
    if always <= set(held) and not set(wanted.former) & set(held):
        return Owners(tuple(sorted(held)), as_they_are=True)
    present = tuple(read())
    kept = always | set(held) | {owner.object_id for owner in present}
    return Owners(tuple(sorted(kept - set(wanted.former))), present=present)


def reject_own_removal(wanted: Wanted) -> None:
    """Raise CallerLockedOut if the caller is among those who are no longer to be owners."""
    if wanted.caller in wanted.former:
        raise CallerLockedOut(
            f"The setting formerOwners names {wanted.caller}, the account that is signed in, which would lock itself "
            "out; nothing was changed. Sign in as another owner, or take it out of formerOwners in Pulumi.<stack>.yaml."
        )


def last_deployer_leaves(wanted: Wanted, owners: Owners, of: str) -> str | None:
    """A warning if no service principal is left among the owners of an object. of: what it is."""
    deployers = [owner for owner in owners.present if owner.kind == SERVICE_PRINCIPAL]
    stays = wanted.application_calls or any(owner.object_id not in wanted.former for owner in deployers)
    if stays or not deployers:
        return None
    return (
        f"formerOwners takes the last service principal from the owners of the {of}: "
        f"{', '.join(map(str, deployers))}. A pipeline that signs in as it will fail with 403 from then on."
    )


def name_taken(name: str, found: list[Candidate]) -> NameTaken | None:
    """The error for a new application called `name`; None if no application made by hand has that name."""
    namesakes = [candidate for candidate in found if candidate.stack is None]
    if not namesakes:
        return None
    adopted = guid(namesakes[0].client_id, CLIENT_ID)
    told = counted(f"client ID {quoted(one.client_id)}, {origin(one.created, one.owners)}" for one in namesakes)
    return NameTaken(
        f"This tenant already has an application called '{name}' that no stack made: {told}. Nothing was changed. To "
        "create another one: pulumi config set applicationName <another name>, or pulumi config set sameName allow. "
        f"Only if you know who made it, adopt it: python -m provisioning adopt {adopted}"
    )


def origin(created: datetime | None, owners: Collection[Owner] | None) -> str:
    """When an application was created, and whose it is. owners: None where they are not known."""
    when = f"created on {created.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if created else "created at an unknown time"
    if owners is None:
        return f"{when}, of unknown owners"
    return f"{when}, owned by {counted(map(str, owners)) or 'nobody'}"


def made_by(owners: Collection[Owner], known: Collection[str]) -> bool:
    """Whether an application with a stack's tag is that stack's: everyone who owns it is `known` to own the stack's.

    Whoever registers an application owns it, also if the answer was lost. known: object ids.
    """
    return bool(owners) and {owner.object_id for owner in owners} <= set(known)
