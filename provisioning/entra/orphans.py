"""Which client secrets in Entra ID are orphaned, and whether a new one can be issued beside them. Pure functions.

A secret is orphaned if Entra ID created it and the answer was lost (an interrupted run, a broken connection): its name
is one of this stack's, but its key is in no state. Its value was never received, so nothing uses it. Entra ID allows an
application for personal accounts two secrets, so orphaned ones would block the next rotation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from provisioning.errors import SecretLimitReached
from provisioning.foreign import counted, quoted

MOST_SECRETS = 2


@dataclass(frozen=True)
class StoredSecret:
    """A client secret as Entra ID lists it; it never shows the value. end, start: None where not asked for."""

    key_id: str
    display_name: str
    end: datetime | None = None
    start: datetime | None = None

    def __str__(self) -> str:
        """Name and key id, as the portal shows them."""
        return f"{quoted(self.display_name)} ({quoted(self.key_id)})"


@dataclass(frozen=True)
class UnrecordedSecrets:
    """Client secrets in Entra ID that this stack's state does not record.

    orphans: left by an interrupted run of this stack. foreign: made by somebody else.
    """

    orphans: tuple[StoredSecret, ...]
    foreign: tuple[StoredSecret, ...]


def classify_secrets(
    stored: Iterable[StoredSecret], known: Collection[str | None], descriptions: Collection[str]
) -> UnrecordedSecrets:
    """Which of the `stored` secrets are orphaned and which are foreign; those with a key id in `known` are neither.

    descriptions: how the names of this stack's secrets begin, by today's setting and by the secrets in the state.
    """
    own_name = re.compile(rf"(?:{'|'.join(re.escape(text) for text in descriptions)}) [ab] \d{{4}}-\d\d-\d\d")
    unrecorded = [secret for secret in stored if secret.key_id not in known]
    orphans = tuple(secret for secret in unrecorded if own_name.fullmatch(secret.display_name))
    foreign = tuple(secret for secret in unrecorded if secret not in orphans)
    return UnrecordedSecrets(orphans, foreign)


def reject_if_full(
    unrecorded: UnrecordedSecrets, planned: int, two_at_most: bool, why_maybe_in_use: Sequence[str] = ()
) -> None:
    """Raise SecretLimitReached if Entra ID would reject a new secret.

    planned: how many secrets of this stack exist once the new one is issued. two_at_most: whether Entra ID's limit of
    two applies to the application's audience. why_maybe_in_use: why an orphaned secret may be in use, so that none is
    removed; empty if all are removed first.
    """
    if not two_at_most:
        return
    with_foreign = planned + len(unrecorded.foreign)
    if unrecorded.orphans and why_maybe_in_use and with_foreign + len(unrecorded.orphans) > MOST_SECRETS:
        raise SecretLimitReached(
            f"A new client secret is due, but Entra ID allows this application {MOST_SECRETS}, and this stack's state "
            f"does not know {_named(unrecorded.orphans)}, which may be in use: {'; '.join(why_maybe_in_use)}. Nothing "
            "was changed. If the state was restored from a backup, restore the newest one. If the secret is not in "
            "use, run `python -m provisioning prune --yes`. Then run the command again."
        )
    if with_foreign > MOST_SECRETS:
        raise SecretLimitReached(
            f"A new client secret is due, but Entra ID allows this application {MOST_SECRETS}, and this stack did not "
            f"create {_named(unrecorded.foreign)}. If it is not in use, remove it in Entra ID (App registrations → "
            "Certificates & secrets), then run the command again; nothing was changed."
        )


def _named(secrets: Iterable[StoredSecret]) -> str:
    return counted(map(str, secrets))


def descriptions(names: Iterable[str], current: str) -> Sequence[str]:
    """How the names of this stack's secrets begin: `current`, and the beginnings of `names`, those in the state."""
    return sorted({current, *(name.rsplit(" ", 2)[0] for name in names)})
