"""The push: gives NocoBase's email manager the client ID and the client secret, and verifies that it uses them.

Read → merge → write → read back → verify. Two values of one row are written, wherever `layout` finds them, and of these
only what differs. A write is conditional on what was read: if somebody changed the row meanwhile, nothing is written.
If the answer to a write is lost, the row is read to see whether it was carried out. Verified is NocoBase's own sign-in
link: it names the client ID and the redirect URI that NocoBase really uses.

`read` and `sign_in` change nothing; the commands beside `pulumi` use them, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

from provisioning import errors
from provisioning.foreign import GUID, guid, listed, one_line
from provisioning.nocobase.layout import Ask, Layout, NocoBaseMapping, Seen, autodetect
from provisioning.nocobase.row import Path, is_mask, merged, other_changes, places, value_at
from provisioning.nocobase.sign_in_link import Accounts, SignIn, link_without, reject_audience, sign_in_mismatch

if TYPE_CHECKING:
    from provisioning.nocobase.client import NocoBaseClient

AUTODETECT = NocoBaseMapping()
"""Everything is autodetected."""

SECRET_LENGTH = 16
"""What is shorter is no client secret of Entra ID, and part of other words."""

MOST_VALUES = 2_000
"""In all rows of the settings. Each provider has a row, with some dozens of values."""

TIMES_OF_CHANGE = ("updatedAt", "updated_at")


@dataclass(frozen=True)
class Credentials:
    """What NocoBase needs to sign users in to Microsoft."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Reading:
    """What NocoBase's email settings show of Microsoft at one moment; `layout.row` is None where there is no row.

    also_changed: fields that were not written, but changed at the same time as the write.
    """

    layout: Layout
    also_changed: Sequence[str] = ()

    @property
    def client_id(self) -> str:
        """The client ID; empty if there is none."""
        return str(value_at(self.layout.row, self.layout.client_id) or "")

    @property
    def client_secret(self) -> str | None:
        """The client secret; None if NocoBase hides it, empty if there is none."""
        return None if self.layout.hidden else str(value_at(self.layout.row, self.layout.client_secret) or "")

    @property
    def row_id(self) -> str | None:
        """The row's id, for people."""
        return None if self.layout.row is None else one_line(self.layout.row.get("id"))

    @property
    def updated_at(self) -> str:
        """When the row was last changed, as NocoBase writes it, on one line; empty if it does not say."""
        row = self.layout.row or {}
        return next((one_line(row[name]) for name in TIMES_OF_CHANGE if row.get(name)), "")

    def holds(self, credentials: Credentials) -> bool:
        """Whether NocoBase holds `credentials`; a hidden secret counts as the right one."""
        return self.client_id == credentials.client_id and self.client_secret in (None, credentials.client_secret)

    def surely_holds(self, credentials: Credentials, at: str) -> bool:
        """The same, but a hidden secret counts only if the row has not changed since `at`, when it was written."""
        return self.holds(credentials) and (not self.layout.hidden or (at != "" and self.updated_at == at))


def read(
    nocobase: NocoBaseClient, mapping: NocoBaseMapping = AUTODETECT, certain: bool = False, transformed: bool = False
) -> Reading:
    """What the email settings show: one request, and one for each field whose existence has to be checked.

    certain: also check that a hidden secret's field exists. transformed: see `Layout`; a push saw it.
    Raises NocoBaseError, such as UnknownLayout.
    """
    rows = _rows(nocobase, mapping)
    exists: dict[str, bool] = {}
    while isinstance(found := autodetect(Seen(nocobase.url, rows, exists), mapping, certain), Ask):
        exists |= {name: _exists(nocobase, mapping, name) for name in found.names}
    reading = Reading(found.as_transformed() if transformed and found.row is not None else found)
    nocobase.keep_secret(reading.client_secret)
    if len(reading.client_id) >= SECRET_LENGTH and not re.fullmatch(GUID, reading.client_id):
        # It may be a client secret in the wrong field, which NocoBase's link then repeats.
        nocobase.keep_secret(reading.client_id)
    return reading


class HoldsClientId(Protocol):
    """What a NocoBase was seen to hold."""

    @property
    def client_id(self) -> str:
        """The client ID; empty if there is none."""


def reject_foreign(
    url: str, found: HoldsClientId, own: Sequence[str | None], whose: Callable[[str], str] = lambda _: ""
) -> None:
    """Raise ForeignCredentials if NocoBase holds a client ID that is none of `own`.

    whose: a clause about the application behind a client ID, such as its name and stack, if that can be read.
    """
    client_id = found.client_id
    if not client_id or client_id in own:
        return
    # What is no client ID may be a client secret that was pasted into the wrong field: it is not repeated.
    if re.fullmatch(GUID, client_id):
        why = f"client ID {client_id}{whose(client_id)}"
        remedy = f"pulumi config set nocobaseTakeOver {client_id}"
    else:
        why = "its client ID is not shown, because it may be a secret"
        remedy = "empty them on its email settings page, or in its configuration."
    raise errors.ForeignCredentials(
        f"NocoBase at {url} already holds the credentials of another application",
        why,
        f"Is this the right NocoBase? To replace them: {remedy}",
    )


def write_and_verify(
    nocobase: NocoBaseClient,
    mapping: NocoBaseMapping,
    credentials: Credentials,
    redirect_uris: Sequence[str],
    found: Reading,
    written_at: str = "",
    accounts: Accounts | None = None,
) -> tuple[Reading, SignIn | None]:
    """Write those of `credentials` that `found`, the reading before, does not hold; read back; verify.

    written_at: the row's time of change when it was last known to hold exactly these credentials.
    accounts: whose sign-in is verified, too; None where a link that lets none of them in must not fail the push.
    Returns the reading after the write and the sign-in link. Raises NocoBaseError, such as ChangedMeanwhile and
    NotVerified.
    """
    if not found.surely_holds(credentials, written_at):
        found = _write(nocobase, mapping, found, credentials)
    if not found.holds(credentials):
        raise errors.NotVerified(
            f"NocoBase at {nocobase.url} did not keep the credentials",
            f"{mapping.collection} shows other values after the write, or none",
            "Somebody else may have changed them at the same moment. Run the command again.",
        )
    link = sign_in(nocobase, mapping)
    reason = sign_in_mismatch(link, credentials.client_id, redirect_uris)
    if reason is not None:
        raise errors.NotVerified(f"NocoBase at {nocobase.url} does not use what was written", *reason)
    reject_audience(nocobase.url, link, accounts)
    return found, link


def clear(nocobase: NocoBaseClient, mapping: NocoBaseMapping, written: Credentials) -> bool:
    """Empty the two values if the client ID is the one that was written; return False if it is another, which stays.

    The secret need not be the same: a push that failed half-way or a person may have written another one.
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
            f"{mapping.collection} still shows client ID {guid(found.client_id)}",
            "Empty them on its email settings page.",
        )
    return True


def sign_in(nocobase: NocoBaseClient, mapping: NocoBaseMapping = AUTODETECT) -> SignIn | None:
    """What NocoBase's sign-in link for Microsoft says now (one request); None if `verify_action` is `none`.

    Raises NocoBaseError.
    """
    action, _, query = mapping.verify_action.partition("?")
    if action == "none":
        return None
    try:
        data = nocobase.get(action, **dict(parse_qsl(query)))
    except errors.EmailManagerMissing as error:
        raise errors.UnknownLayout(
            f"NocoBase at {nocobase.url} has no action {action}, which is needed to verify the credentials",
            error.why,
            "Name the action that answers the sign-in link, or none to skip this verification: "
            "pulumi config set --path nocobaseMapping.verifyAction <action>",
        ) from None
    except errors.UnexpectedAnswer as error:
        # NocoBase's answer while client ID or secret is missing.
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        return SignIn(None, None)
    texts = [data, *data.values()] if isinstance(data, dict) else [data]
    links = [link_without(text, nocobase.secrets) for text in texts if isinstance(text, str)]
    return next((link for link in links if link.client_id), SignIn(None, None))


def _rows(nocobase: NocoBaseClient, mapping: NocoBaseMapping, **parameters: str) -> list[Mapping[str, Any]]:
    try:
        rows = nocobase.get(f"{mapping.collection}:list", paginate="false", **parameters)
    except errors.EmailManagerMissing as error:
        likely = [name for name in _plugins(nocobase) if "mail" in name]
        if not likely:
            raise
        raise errors.UnknownLayout(
            f"NocoBase at {nocobase.url} has no collection {mapping.collection}",
            f"{error.why}, although the plugin {listed(likely)} is enabled",
            "Name the collection: pulumi config set --path nocobaseMapping.collection <collection>",
        ) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise errors.UnexpectedAnswer(
            f"NocoBase at {nocobase.url} did not list the email settings",
            f"{mapping.collection}:list answered no list of rows",
            "Is nocobaseUrl the address of a NocoBase 2?",
        )
    if sum(len(row) + sum(1 for _ in places(row)) for row in rows) > MOST_VALUES:
        raise errors.UnexpectedAnswer(
            f"What NocoBase at {nocobase.url} lists cannot be the email settings",
            f"{mapping.collection}:list answered more than {MOST_VALUES} values",
            "Is nocobaseUrl the address of the right NocoBase?",
        )
    return rows


def _plugins(nocobase: NocoBaseClient) -> list[str]:
    """The names of the enabled plugins; empty if NocoBase does not list them."""
    with suppress(errors.NocoBaseError):
        enabled = nocobase.get("pm:listEnabled")
        return [str(item.get("name")) for item in enabled or () if isinstance(item, dict)]
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
    """Write those of `credentials` that `before` does not hold, and read back.

    Raises ChangedMeanwhile if somebody else wrote at the same moment: before this write, or into a JSON field that this
    write replaced as a whole. Raises AnswerLost if the write was not answered and was not carried out either.
    """
    values = _missing_values(before, credentials)
    fields = merged(before.layout.row, values)
    lost, answer = None, None
    try:
        answer = _send(nocobase, mapping, before, fields)
    except errors.AnswerLost as error:
        lost = error
    after = _read_back(nocobase, mapping, before, filled=credentials.client_secret != "")
    if lost is not None and not _was_carried_out(before, after, credentials):
        raise lost
    if _is_transformed(before, answer, after, credentials):
        after = replace(after, layout=after.layout.as_transformed())
    if before.layout.row is None or after.layout.row is None:
        return after
    others = other_changes(before.layout.row, after.layout.row, values)
    if any(name.partition(".")[0] in fields for name in others):
        raise _others_changed(nocobase, mapping, others)
    return replace(after, also_changed=others)


def _is_transformed(
    before: Reading, answer: Mapping[str, Any] | None, after: Reading, credentials: Credentials
) -> bool:
    """Whether NocoBase shows another secret than was written although nobody else wrote.

    answer: the row as the write answered it, which nobody else can have changed.
    """
    shown, place = after.client_secret, after.layout.client_secret
    if answer is None or shown in (None, "", credentials.client_secret) or shown == before.client_secret:
        return False
    answered = Reading(replace(after.layout, row=answer))
    if after.updated_at and answered.updated_at:
        return after.updated_at == answered.updated_at
    return bool(value_at(answer, place) == shown)


def _missing_values(before: Reading, credentials: Credentials) -> dict[Path, str]:
    """What to write, by its place in the row; a new row gets both values."""
    layout = before.layout
    values = {}
    if layout.row is None or before.client_id != credentials.client_id:
        values[layout.client_id] = credentials.client_id
    if layout.row is None or before.client_secret != credentials.client_secret:
        values[layout.client_secret] = credentials.client_secret
    return values


def _send(
    nocobase: NocoBaseClient, mapping: NocoBaseMapping, before: Reading, fields: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Create the row, or update it if it is still as it was read; return the row as it was answered, if it was.

    Raises ChangedMeanwhile and AnswerLost.
    """
    row = before.layout.row
    if row is None:
        made = nocobase.post(f"{mapping.collection}:create", {**mapping.of_microsoft, **fields})
        return made if isinstance(made, dict) else None
    condition = _filter({**_key(row, mapping), **_as_read(before)})
    written = nocobase.post(f"{mapping.collection}:update", fields, filter=condition)
    if written == []:
        raise _changed_meanwhile(nocobase, mapping, before)
    if not written:
        raise errors.AnswerLost(
            f"NocoBase at {nocobase.url} did not say whether it wrote the credentials",
            f"{mapping.collection}:update was answered without rows, and nothing shows the new values",
            "Run the command again: it reads first what is there.",
        )
    first = written[0] if isinstance(written, list) else written
    return first if isinstance(first, dict) else None


def _read_back(nocobase: NocoBaseClient, mapping: NocoBaseMapping, before: Reading, filled: bool) -> Reading:
    """The row after the write. filled: whether it must hold a secret; if it is hidden, a row without one is no row."""
    layout = before.layout
    if filled and layout.hidden and len(layout.client_secret) == 1:
        rows = _rows(nocobase, mapping, filter=_filter({f"{layout.client_secret[0]}.$notEmpty": True}))
    else:
        rows = _rows(nocobase, mapping)
    key = mapping.of_microsoft if layout.row is None else _key(layout.row, mapping)
    found = next((row for row in rows if all(str(row.get(name)) == str(value) for name, value in key.items())), None)
    masked = is_mask(value_at(found, layout.client_secret))
    hidden = layout.transformed or masked or layout.client_secret[0] not in (found or {})
    return Reading(replace(layout, row=found, hidden=hidden))


def _was_carried_out(before: Reading, after: Reading, credentials: Credentials) -> bool:
    """Whether a write whose answer was lost was carried out; a hidden secret shows only by the row's time of change."""
    if not after.holds(credentials):
        return False
    return not after.layout.hidden or before.layout.row is None or before.updated_at != after.updated_at


def _key(row: Mapping[str, Any], mapping: NocoBaseMapping) -> Mapping[str, object]:
    return {"id": row["id"]} if "id" in row else mapping.of_microsoft


def _as_read(found: Reading) -> dict[str, object]:
    """The condition that the row is still as it was read; NocoBase cannot compare JSON."""
    row, client_id = found.layout.row or {}, found.layout.client_id
    condition = {name: row[name] for name in TIMES_OF_CHANGE if row.get(name)}
    # NocoBase replaces a value like {{$env.CLIENT_ID}} by the variable's value.
    cannot_compare = len(client_id) > 1 or "{{" in found.client_id
    return condition if cannot_compare else {**condition, client_id[0]: row[client_id[0]]}


def _filter(condition: Mapping[str, object]) -> str:
    return json.dumps(condition)


def _changed_meanwhile(nocobase: NocoBaseClient, mapping: NocoBaseMapping, before: Reading) -> errors.ChangedMeanwhile:
    now = read(nocobase, mapping).layout.row
    changed = "the row is gone" if now is None else listed(other_changes(before.layout.row or {}, now, ()))
    return errors.ChangedMeanwhile(
        f"Somebody else changed {mapping.collection} in NocoBase at {nocobase.url} at the same moment",
        f"nothing was written; changed: {changed or 'only the time of change'}",
        "Run the command again: it reads first what is there.",
    )


def _others_changed(
    nocobase: NocoBaseClient, mapping: NocoBaseMapping, others: Sequence[str]
) -> errors.ChangedMeanwhile:
    return errors.ChangedMeanwhile(
        f"In NocoBase at {nocobase.url} more of {mapping.collection} changed than this program wrote",
        f"changed: {listed(others)}",
        "Somebody else saved them at the same moment, and this write may have undone that. Check them on its email "
        "settings page, then run the command again.",
    )
