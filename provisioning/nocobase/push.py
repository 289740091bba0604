"""The push: gives NocoBase's email manager the client id and the client secret, and proves that it uses them.

Read → merge → write → read back → prove. What is written is two values of one row, wherever `layout` finds them,
and of these only what differs. A write is bound to what was read: if somebody changed the row meanwhile, nothing is
written. A write whose answer is lost is settled by reading. The proof is NocoBase's own sign-in link, which names the
client id and the redirect URI that NocoBase really uses.

For the commands beside `pulumi`: `read`, `sign_in` and `sign_in_mismatch`; they change nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from provisioning import errors
from provisioning.nocobase.layout import Ask, Layout, NocoBaseMapping, Seen, autodetect
from provisioning.nocobase.row import is_mask, merged, other_changes, value_at

if TYPE_CHECKING:
    from provisioning.nocobase.client import NocoBaseClient

FOUND = NocoBaseMapping()
"""No hints: everything is found."""

TIMES_OF_CHANGE = ("updatedAt", "updated_at")


@dataclass(frozen=True)
class Credentials:
    """What NocoBase needs to sign users in to Microsoft."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Reading:
    """What NocoBase's email settings show of Microsoft at one moment; `layout.row` is None where there is no row.

    also_changed: fields that were not written and yet changed while something was.
    """

    layout: Layout
    also_changed: Sequence[str] = ()

    @property
    def client_id(self) -> str:
        """The client id; empty where there is none."""
        return str(value_at(self.layout.row, self.layout.client_id) or "")

    @property
    def client_secret(self) -> str | None:
        """The client secret; None where NocoBase hides it, empty where there is none."""
        return None if self.layout.hidden else str(value_at(self.layout.row, self.layout.client_secret) or "")

    @property
    def row_id(self) -> str | None:
        """The row's id."""
        return None if self.layout.row is None else str(self.layout.row.get("id"))

    @property
    def updated_at(self) -> str:
        """When anything in the row was changed last, as NocoBase writes it; empty where it does not say."""
        row = self.layout.row or {}
        return next((str(row[name]) for name in TIMES_OF_CHANGE if row.get(name)), "")

    def holds(self, credentials: Credentials) -> bool:
        """Whether NocoBase holds `credentials`, as far as it shows."""
        return self.client_id == credentials.client_id and self.client_secret in (None, credentials.client_secret)

    def surely_holds(self, credentials: Credentials, at: str) -> bool:
        """The same; where the secret is hidden, only if nothing has changed since `at`, when it was written."""
        return self.holds(credentials) and (not self.layout.hidden or (at != "" and self.updated_at == at))


@dataclass(frozen=True)
class SignIn:
    """What the sign-in link that NocoBase gives its users says; None where it says nothing, or there is no link.

    tenant: whose accounts the sign-in page is for, a tenant or `common`, `organizations`, `consumers`.
    """

    client_id: str | None
    redirect_uri: str | None
    scopes: tuple[str, ...] = ()
    tenant: str | None = None


def read(nocobase: NocoBaseClient, mapping: NocoBaseMapping = FOUND, certain: bool = False) -> Reading:
    """What the email settings show: one request, and one for each field whose existence has to be asked.

    certain: have the name of a hidden secret's field confirmed. Raises NocoBaseError, UnknownLayout among them.
    """
    rows = _rows(nocobase, mapping)
    exists: dict[str, bool] = {}
    while isinstance(found := autodetect(Seen(nocobase.url, rows, exists), mapping, certain), Ask):
        exists |= {name: _exists(nocobase, mapping, name) for name in found.names}
    return Reading(found)


def reject_foreign(
    url: str, found: Reading, own: Sequence[str | None], whose: Callable[[str], str] = lambda _: ""
) -> None:
    """Raise ForeignCredentials if NocoBase holds a client id that is none of `own`.

    whose: says of a client id whose application it is, as far as that can be known.
    """
    there = found.client_id
    if there and there not in own:
        # A client secret that was pasted into the wrong field has other characters, too.
        known = re.fullmatch(r"[\w-]+", there) is not None
        remedy = f"pulumi config set nocobaseTakeOver {there}" if known else "empty them on its email settings page."
        raise errors.ForeignCredentials(
            f"NocoBase at {url} already holds the credentials of another application",
            f"client id {there}{whose(there)}"
            if known
            else "what it has as client id is not shown: it may be a secret",
            f"Is this the right NocoBase? To replace them: {remedy}",
        )


def write_and_verify(
    nocobase: NocoBaseClient,
    mapping: NocoBaseMapping,
    credentials: Credentials,
    redirect_uris: Sequence[str],
    found: Reading,
    written_at: str = "",
) -> tuple[Reading, SignIn | None]:
    """Write what of `credentials` is missing in `found`, what was read before; read back; prove.

    written_at: the row's time of change when it was last seen to hold these very credentials.
    Raises NocoBaseError: ChangedMeanwhile, NotVerified among them.
    """
    if not found.surely_holds(credentials, written_at):
        found = _write(nocobase, mapping, found, credentials)
    if not found.holds(credentials):
        raise errors.NotVerified(
            f"NocoBase at {nocobase.url} did not keep the credentials",
            f"{mapping.collection} shows other values after the write, or none",
            "Has somebody else changed them at this moment? Run the command again.",
        )
    link = sign_in(nocobase, mapping)
    reason = sign_in_mismatch(link, credentials.client_id, redirect_uris)
    if reason is not None:
        raise errors.NotVerified(f"NocoBase at {nocobase.url} does not use what was written", *reason)
    return found, link


def clear(nocobase: NocoBaseClient, mapping: NocoBaseMapping, written: Credentials) -> bool:
    """Empty the two values if they are of the application that was written; False if they are another's, which stay.

    A secret that differs is this application's all the same: of a push that was not proved, or typed in by hand.
    """
    found = read(nocobase, mapping)
    if not found.client_id:
        return True
    if found.client_id != written.client_id:
        return False
    found = _write(nocobase, mapping, found, Credentials("", ""))
    if found.client_id:
        raise errors.UnexpectedAnswer(
            f"NocoBase at {nocobase.url} did not empty the credentials",
            f"{mapping.collection} still shows client id {found.client_id}",
            "Empty them on its email settings page.",
        )
    return True


def sign_in(nocobase: NocoBaseClient, mapping: NocoBaseMapping = FOUND) -> SignIn | None:
    """What NocoBase's sign-in link for Microsoft says now (one request); None where it has none to ask for.

    Raises NocoBaseError.
    """
    action, _, query = mapping.verify_action.partition("?")
    if action == "none":
        return None
    try:
        data = nocobase.get(action, **dict(parse_qsl(query)))
    except errors.EmailManagerMissing as error:
        raise errors.UnknownLayout(
            f"NocoBase at {nocobase.url} does not know the action {action}, which would prove the credentials",
            error.why,
            "Name the one that answers the sign-in link, or none to go without that proof: "
            "pulumi config set --path nocobaseMapping.verifyAction <action>",
        ) from None
    except errors.UnexpectedAnswer as error:
        # So NocoBase answers as long as client id or secret is missing.
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        return SignIn(None, None)
    texts = [data, *data.values()] if isinstance(data, dict) else [data]
    links = [parse_link(text) for text in texts if isinstance(text, str)]
    return next((link for link in links if link.client_id), SignIn(None, None))


def parse_link(url: str) -> SignIn:
    """What a sign-in link of Microsoft's says: an authorization request by RFC 6749, the tenant first in its path."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    first = [query.get(name, [None])[0] for name in ("client_id", "redirect_uri", "scope")]
    return SignIn(first[0], first[1], tuple((first[2] or "").split()), parts.path.strip("/").split("/")[0] or None)


def sign_in_mismatch(link: SignIn | None, client_id: str, redirect_uris: Sequence[str]) -> tuple[str, str] | None:
    """Why the sign-in link shows that NocoBase does not use what is declared, and the remedy; None if it does."""
    if link is None:
        return None
    if link.client_id != client_id:
        why = f"its sign-in link names client id {link.client_id or 'none'} instead of {client_id}"
        return why, "Restart NocoBase if it was set up with environment variables; then run the command again."
    if link.redirect_uri not in redirect_uris:
        why = f"it sends users back to {link.redirect_uri or 'nowhere'}, but declared is {', '.join(redirect_uris)}"
        return why, "Set nocobaseUrl to the address that users see, or add the address to redirectUris."
    return None


@contextmanager
def kept_secret(secrets: Callable[[], Sequence[str]]) -> Iterator[None]:
    """Let no NocoBaseError out that holds one of `secrets`, also where the server echoed it."""
    try:
        yield
    except errors.NocoBaseError as error:
        raise error.without(secrets()) from None


def _rows(nocobase: NocoBaseClient, mapping: NocoBaseMapping, **parameters: str) -> list[Mapping[str, Any]]:
    try:
        rows = nocobase.get(f"{mapping.collection}:list", paginate="false", **parameters)
    except errors.EmailManagerMissing as error:
        likely = [name for name in _plugins(nocobase) if "mail" in name]
        if not likely:
            raise
        raise errors.UnknownLayout(
            f"NocoBase at {nocobase.url} has no collection {mapping.collection}",
            f"{error.why}, although the plugin {', '.join(likely)} is enabled",
            "Name its settings: pulumi config set --path nocobaseMapping.collection <collection>",
        ) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise errors.UnexpectedAnswer(
            f"NocoBase at {nocobase.url} did not list the email settings",
            f"{mapping.collection}:list answered no list of rows",
            "Is nocobaseUrl the address of a NocoBase 2?",
        )
    return rows


def _plugins(nocobase: NocoBaseClient) -> list[str]:
    """The names of the plugins that are enabled; none where NocoBase does not tell."""
    with suppress(errors.NocoBaseError):
        listed = nocobase.get("pm:listEnabled")
        return [str(item.get("name")) for item in listed or () if isinstance(item, dict)]
    return []


def _exists(nocobase: NocoBaseClient, mapping: NocoBaseMapping, name: str) -> bool:
    try:
        _rows(nocobase, mapping, filter=_filter({f"{name}.$notEmpty": True}))
    except errors.UnexpectedAnswer as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        return False
    return True


def _write(nocobase: NocoBaseClient, mapping: NocoBaseMapping, before: Reading, credentials: Credentials) -> Reading:
    """Write what of `credentials` is missing, and read back.

    Raises ChangedMeanwhile if somebody else wrote at the same moment, too: before it, or into a JSON field that was
    replaced as a whole.
    """
    layout, row = before.layout, before.layout.row
    values = {}
    if before.client_id != credentials.client_id or row is None:
        values[layout.client_id] = credentials.client_id
    if before.client_secret != credentials.client_secret or row is None:
        values[layout.client_secret] = credentials.client_secret
    fields = merged(row, values)
    lost = None
    try:
        if row is None:
            nocobase.post(f"{mapping.collection}:create", {**mapping.of_microsoft, **fields})
        else:
            bound = {**_key(row, mapping), **_as_read(before)}
            written = nocobase.post(f"{mapping.collection}:update", fields, filter=_filter(bound))
            if written == []:
                raise _changed_meanwhile(nocobase, mapping, before)
            if not written:
                raise errors.AnswerLost(
                    f"NocoBase at {nocobase.url} did not say whether it wrote the credentials",
                    f"{mapping.collection}:update was answered without rows, and nothing shows the new values",
                    "Run the command again: it looks at what is there by then.",
                )
    except errors.AnswerLost as error:
        lost = error
    after = _read_back(nocobase, mapping, before, filled=credentials.client_secret != "")
    if lost is not None and not _was_made(before, after, credentials):
        raise lost
    if row is not None and after.layout.row is not None:
        others = other_changes(row, after.layout.row, values)
        if any(name.partition(".")[0] in fields for name in others):
            raise _others_changed(nocobase, mapping, others)
        return replace(after, also_changed=others)
    return after


def _read_back(nocobase: NocoBaseClient, mapping: NocoBaseMapping, before: Reading, filled: bool) -> Reading:
    """The row after the write; where the secret is hidden and `filled`, no row unless NocoBase has one."""
    layout = before.layout
    hidden = layout.hidden and len(layout.client_secret) == 1
    only = {"filter": _filter({f"{layout.client_secret[0]}.$notEmpty": True})} if hidden and filled else {}
    rows = _rows(nocobase, mapping, **only)
    key = mapping.of_microsoft if layout.row is None else _key(layout.row, mapping)
    found = next((row for row in rows if all(str(row.get(name)) == str(value) for name, value in key.items())), None)
    hidden = is_mask(value_at(found, layout.client_secret)) or layout.client_secret[0] not in (found or {})
    return Reading(replace(layout, row=found, hidden=hidden))


def _was_made(before: Reading, after: Reading, credentials: Credentials) -> bool:
    """Whether a write whose answer was lost was made: bound to what was read, it was if exactly its values changed."""
    if not after.holds(credentials):
        return False
    return not after.layout.hidden or before.layout.row is None or before.updated_at != after.updated_at


def _key(row: Mapping[str, Any], mapping: NocoBaseMapping) -> Mapping[str, object]:
    return {"id": row["id"]} if "id" in row else mapping.of_microsoft


def _as_read(found: Reading) -> dict[str, object]:
    """The condition that the row is still as it was read; NocoBase cannot be asked to compare JSON."""
    row, client_id = found.layout.row or {}, found.layout.client_id
    condition = {name: row[name] for name in TIMES_OF_CHANGE if row.get(name)}
    # NocoBase would put a variable's value in the place of a value like {{$env.CLIENT_ID}}.
    cannot_compare = len(client_id) > 1 or "{{" in found.client_id
    return condition if cannot_compare else {**condition, client_id[0]: row[client_id[0]]}


def _filter(condition: Mapping[str, object]) -> str:
    return json.dumps(condition)


def _changed_meanwhile(nocobase: NocoBaseClient, mapping: NocoBaseMapping, before: Reading) -> errors.ChangedMeanwhile:
    now = read(nocobase, mapping).layout.row
    changed = ["the row is gone"] if now is None else other_changes(before.layout.row or {}, now, ())
    return errors.ChangedMeanwhile(
        f"Somebody else changed {mapping.collection} in NocoBase at {nocobase.url} at the same moment",
        f"nothing was written; changed: {', '.join(changed) or 'only the time of change'}",
        "Run the command again: it looks at what is there by then.",
    )


def _others_changed(
    nocobase: NocoBaseClient, mapping: NocoBaseMapping, others: Sequence[str]
) -> errors.ChangedMeanwhile:
    return errors.ChangedMeanwhile(
        f"In NocoBase at {nocobase.url} more of {mapping.collection} changed than was written",
        f"changed: {', '.join(others)}",
        "Look at them on its email settings page: somebody else saved them at the same moment, and the write may have "
        "put back what was there before. Then run the command again.",
    )
