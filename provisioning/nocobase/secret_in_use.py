"""Whether a NocoBase may use a client secret that this stack's state does not know.

After a state was restored from a backup, or where copies of it are in use, a secret that NocoBase uses looks like an
orphaned one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from provisioning.errors import NocoBaseError
from provisioning.nocobase import push

if TYPE_CHECKING:
    from provisioning.nocobase.installation import Installation
    from provisioning.nocobase.login import NocoBaseLogin
    from provisioning.nocobase.push import Reading


def why_maybe_unknown(
    installation: Installation,
    login: NocoBaseLogin,
    client_id: str | None,
    written_at: str,
    known: Collection[str],
    transformed: bool,
) -> str | None:
    """Why a NocoBase 2 may hold a secret of the application `client_id` besides `known`; None if it does not.

    written_at: the row's time of change after the last push; if it is still the same, nobody has written since.
    transformed: whether that push saw a transformed secret (see `Layout`). One request, without retries.
    """
    # 0.1 s of imports (httpx) that only a run with orphaned secrets needs.
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

    try:
        with NocoBaseClient(installation.url, installation.app, login, None) as nocobase:
            found = push.read(nocobase, installation.mapping, transformed=transformed)
    except NocoBaseError:
        return "cannot be asked which secret it uses"
    return _why(found, client_id, written_at, known)


def _why(found: Reading, client_id: str | None, written_at: str, known: Collection[str]) -> str | None:
    """Why the secret in NocoBase may be one besides `known`; None if it is known, or another application's."""
    if not found.client_id or found.client_id != client_id:
        return None
    if found.client_secret is None:
        unchanged = found.updated_at != "" and found.updated_at == written_at
        return None if unchanged else "hides its secret, and was changed since this stack's state was written"
    if found.client_secret in {"", *known}:
        return None
    return "holds a secret that this stack's state does not know"
