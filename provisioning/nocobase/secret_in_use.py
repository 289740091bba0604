"""Whether a NocoBase may use a client secret that this stack's state does not know.

A state that was restored from a backup, or is shared by copies, takes the secret in use for one that nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from provisioning.errors import NocoBaseError
from provisioning.nocobase import push

if TYPE_CHECKING:
    from provisioning.nocobase.installation import Installation
    from provisioning.nocobase.login import NocoBaseLogin
    from provisioning.nocobase.push import Reading


def doubts(
    installations: Sequence[Installation],
    logins: Mapping[str, NocoBaseLogin],
    client_id: str | None,
    written_at: Mapping[str, str],
    known: Collection[str],
) -> list[str]:
    """A clause for each of `installations` that is not seen to do without a secret of `client_id` besides `known`.

    written_at: the time of change that a push recorded, by its resource name: nobody wrote since if it is the same.
    One request each, none of which is waited for.
    """
    return [
        doubt
        for one in installations
        if (doubt := _doubt(one, logins[one.name], client_id, written_at.get(one.resource_name, ""), known))
    ]


def _doubt(
    installation: Installation, login: NocoBaseLogin, client_id: str | None, written_at: str, known: Collection[str]
) -> str | None:
    # Needed for a rare question only; every `pulumi up` would pay for the import of httpx.
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

    try:
        with NocoBaseClient(installation.url, installation.app, login, None) as nocobase:
            found = push.read(nocobase, installation.mapping)
    except NocoBaseError:
        return f"NocoBase at {installation.url} cannot be asked which secret it uses"
    return (
        f"NocoBase at {installation.url} {why}"
        if (why := unknown_secret(found, client_id, written_at, known))
        else None
    )


def unknown_secret(found: Reading, client_id: str | None, written_at: str, known: Collection[str]) -> str | None:
    """Why the secret that was `found` may be another one than `known`; None if it surely is none of `client_id`."""
    if not found.client_id or found.client_id != client_id:
        return None
    if found.client_secret is None:
        same = found.updated_at != "" and found.updated_at == written_at
        return None if same else "hides its secret, and was changed since this stack's state was written"
    return None if found.client_secret in {"", *known} else "holds a secret that this stack's state does not know"
