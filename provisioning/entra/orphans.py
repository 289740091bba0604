"""Whether a new client secret finds its place, as pure functions: never more than two, and none that nobody knows.

An answer that is lost after Entra ID had made a secret (a killed run, a broken connection) leaves an orphan: a secret
with a name of ours whose key no state holds. Its value was told to nobody, so nobody uses it. Entra ID allows an
application for personal accounts two secrets, so that orphans would block the next rotation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from provisioning.errors import NoRoomForSecret

MOST_SECRETS = 2


@dataclass(frozen=True)
class StoredSecret:
    """A client secret as Entra ID lists it; it never shows the value. end: None where it was not asked for."""

    key_id: str
    display_name: str
    end: datetime | None = None

    def __str__(self) -> str:
        """By what a person finds it in Entra ID."""
        return f"'{self.display_name}' ({self.key_id})"


@dataclass(frozen=True)
class Room:
    """What is in the way of a new secret. orphans: ours, in no state. foreign: made by somebody else."""

    orphans: tuple[StoredSecret, ...]
    foreign: tuple[StoredSecret, ...]


def find_room(stored: Iterable[StoredSecret], known: Collection[str | None], descriptions: Collection[str]) -> Room:
    """Sort out what Entra ID holds besides the secrets whose key ids are `known`.

    descriptions: how this stack's secrets begin, now and at the time of those in the state.
    """
    ours = re.compile(rf"(?:{'|'.join(re.escape(text) for text in descriptions)}) [ab] \d{{4}}-\d\d-\d\d")
    unknown = [secret for secret in stored if secret.key_id not in known]
    orphans = tuple(secret for secret in unknown if ours.fullmatch(secret.display_name))
    return Room(orphans, tuple(secret for secret in unknown if secret not in orphans))


def refuse_without_room(room: Room, kept: int, two_at_most: bool, doubts: Sequence[str] = ()) -> None:
    """Raise NoRoomForSecret if secrets that are not removed would keep Entra ID from issuing another one.

    kept: how many secrets the plan has in the end, the new one included. two_at_most: whether Entra ID's limit of two
    holds for the application's audience. doubts: why orphans may be in use all the same, so that they stay.
    """
    if two_at_most and doubts and kept + len(room.orphans) + len(room.foreign) > MOST_SECRETS and room.orphans:
        raise NoRoomForSecret(
            f"A new client secret is due, but Entra ID allows this application {MOST_SECRETS}, and this stack's state "
            f"does not know {_named(room.orphans)}, which may be in use: {'; '.join(doubts)}. Was the state restored "
            "from a backup? Then restore the newest one. If nobody uses that secret: `python -m provisioning prune "
            "--yes`, then run the command again; nothing was changed."
        )
    if two_at_most and kept + len(room.foreign) > MOST_SECRETS:
        raise NoRoomForSecret(
            f"A new client secret is due, but Entra ID allows this application {MOST_SECRETS}, and one that this stack "
            f"did not make is in the way: {_named(room.foreign)}. Remove it in Entra ID (App registrations → "
            "Certificates & secrets) if nobody uses it; nothing was changed."
        )


def _named(secrets: Iterable[StoredSecret]) -> str:
    return ", ".join(map(str, secrets))


def descriptions(names: Iterable[str], current: str) -> Sequence[str]:
    """How names of this stack's secrets begin: `current`, and what those in the state, called `names`, begin with."""
    return sorted({current, *(name.rsplit(" ", 2)[0] for name in names)})
