"""The push: gives NocoBase's email manager the client id and the client secret, and proves that it uses them.

Read → merge two fields → write → read back → prove. Only the collection `mailSettings` is touched, in it only the row
of the provider Microsoft, and in that row only the two credential fields. The proof is NocoBase's own sign-in link,
which names the client id and the redirect URI that NocoBase really uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from provisioning import errors

if TYPE_CHECKING:
    from provisioning.nocobase.client import NocoBaseClient

COLLECTION = "mailSettings"
PROVIDER = "microsoft"

FIELD_NAMES = (("clientId", "clientSecret"), ("client_id", "client_secret"))
"""Pairs of names that the credential fields may have; the first is the likeliest."""


@dataclass(frozen=True)
class Credentials:
    """What NocoBase needs to sign users in to Microsoft."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Row:
    """The Microsoft row of the email settings, as NocoBase shows it.

    client_secret: None where NocoBase hides it on read. updated_at: when anything in the row was changed last, as
    NocoBase writes it; empty where it does not say.
    """

    id: str
    client_id_field: str
    client_secret_field: str
    client_id: str
    client_secret: str | None = field(repr=False)
    updated_at: str = ""

    def holds(self, credentials: Credentials) -> bool:
        """Whether the row holds `credentials`, as far as NocoBase shows."""
        readable = self.client_secret is not None
        return self.client_id == credentials.client_id and (
            not readable or self.client_secret == credentials.client_secret
        )


@dataclass(frozen=True)
class SignIn:
    """What the sign-in link that NocoBase gives its users says."""

    client_id: str | None
    redirect_uri: str | None


def find_row(url: str, rows: Sequence[Mapping[str, Any]]) -> Row | None:
    """The Microsoft row among `rows`, or None if there is none yet.

    Raises UnknownLayout if several rows claim to be it, or if its credential fields cannot be told.
    """
    matching = [row for row in rows if row.get("type") == PROVIDER]
    if not matching:
        return None
    if len(matching) > 1:
        ids = ", ".join(str(row.get("id")) for row in matching)
        raise errors.UnknownLayout(
            f"NocoBase at {url} has {len(matching)} Microsoft rows in {COLLECTION}",
            f"ids {ids}",
            "Delete those that are not in use.",
        )
    row = matching[0]
    names = next((pair for pair in FIELD_NAMES if pair[0] in row or pair[1] in row), None)
    if names is None:
        raise errors.UnknownLayout(
            f"In NocoBase at {url} the credential fields of {COLLECTION} cannot be told",
            f"the row has {', '.join(sorted(row))}",
            "This version of the email manager is not known to this program.",
        )
    client_id_field, client_secret_field = names
    secret = row.get(client_secret_field) or ""
    return Row(
        id=str(row["id"]),
        client_id_field=client_id_field,
        client_secret_field=client_secret_field,
        client_id=str(row.get(client_id_field) or ""),
        client_secret=str(secret) if client_secret_field in row else None,
        updated_at=str(row.get("updatedAt") or ""),
    )


def read(nocobase: NocoBaseClient) -> Row | None:
    """The Microsoft row of the email settings, or None if there is none yet (one request). Raises NocoBaseError."""
    rows = nocobase.get(f"{COLLECTION}:list", paginate="false")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise errors.UnexpectedAnswer(
            f"NocoBase at {nocobase.url} did not list the email settings",
            f"{COLLECTION}:list answered no list of rows",
            "Is nocobaseUrl the address of a NocoBase 2?",
        )
    return find_row(nocobase.url, rows)


def refuse_foreign(url: str, row: Row | None, own: Sequence[str | None]) -> None:
    """Raise ForeignCredentials if the row holds a client id that is none of `own`."""
    if row is not None and row.client_id and row.client_id not in own:
        raise errors.ForeignCredentials(
            f"NocoBase at {url} already holds the credentials of another application",
            f"client id {row.client_id}",
            f"Is this the right NocoBase? To replace them: pulumi config set nocobaseTakeOver {row.client_id}",
        )


def push(
    nocobase: NocoBaseClient, credentials: Credentials, redirect_uris: Sequence[str], row: Row | None
) -> tuple[Row, SignIn]:
    """Write `credentials` unless `row`, what was read before, is seen to hold them; read back; prove.

    Raises NocoBaseError, NotProved among them.
    """
    if row is None or row.client_secret is None or not row.holds(credentials):
        _write(nocobase, row, credentials)
        row = read(nocobase)
    if row is None or not row.holds(credentials):
        raise errors.NotProved(
            f"NocoBase at {nocobase.url} did not keep the credentials",
            f"{COLLECTION} shows other values after the write",
            "Has somebody else changed them at this moment? Run the command again.",
        )
    found = sign_in(nocobase)
    reason = disproof(found, credentials.client_id, redirect_uris)
    if reason is not None:
        raise errors.NotProved(f"NocoBase at {nocobase.url} does not use what was written", *reason)
    return row, found


def clear(nocobase: NocoBaseClient, written: Credentials) -> bool:
    """Empty the two fields if they still hold what was written; False if they hold something else, which is left."""
    row = read(nocobase)
    if row is None or not row.client_id:
        return True
    if not row.holds(written):
        return False
    _write(nocobase, row, Credentials("", ""))
    row = read(nocobase)
    if row is not None and row.client_id:
        raise errors.UnexpectedAnswer(
            f"NocoBase at {nocobase.url} did not empty the credentials",
            f"{COLLECTION} still shows client id {row.client_id}",
            "Empty them on its email settings page.",
        )
    return True


def sign_in(nocobase: NocoBaseClient) -> SignIn:
    """What NocoBase's sign-in link for Microsoft says now; nothing where it cannot build one (one request).

    Raises NocoBaseError.
    """
    try:
        data = nocobase.get("mail:oauth2url", type=PROVIDER)
    except errors.UnexpectedAnswer as error:
        # So NocoBase answers as long as client id or secret is missing.
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        return SignIn(None, None)
    url = data.get("url") if isinstance(data, dict) else data
    query = parse_qs(urlsplit(url).query) if isinstance(url, str) else {}
    return SignIn(query.get("client_id", [None])[0], query.get("redirect_uri", [None])[0])


def disproof(found: SignIn, client_id: str, redirect_uris: Sequence[str]) -> tuple[str, str] | None:
    """Why the sign-in link shows that NocoBase does not use what is declared, and the remedy; None if it does."""
    if found.client_id != client_id:
        why = f"its sign-in link names client id {found.client_id or 'none'} instead of {client_id}"
        return why, "Restart NocoBase if it was set up with environment variables; then run the command again."
    if found.redirect_uri not in redirect_uris:
        why = f"it sends users back to {found.redirect_uri or 'nowhere'}, but declared is {', '.join(redirect_uris)}"
        return why, "Set nocobaseUrl to the address that users see, or add the address to redirectUris."
    return None


def _write(nocobase: NocoBaseClient, row: Row | None, credentials: Credentials) -> None:
    client_id_field, client_secret_field = FIELD_NAMES[0]
    if row is not None:
        client_id_field, client_secret_field = row.client_id_field, row.client_secret_field
    fields = {client_id_field: credentials.client_id, client_secret_field: credentials.client_secret}
    if row is None:
        nocobase.post(f"{COLLECTION}:create", {"type": PROVIDER, **fields})
    else:
        nocobase.post(f"{COLLECTION}:update", fields, filterByTk=row.id)
