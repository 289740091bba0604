"""Reads the three sides of a deployed stack: its state, what Entra ID shows, and what NocoBase holds. Changes nothing.

A side that cannot be read is an answer, too: `Unread`, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from provisioning.entra.client_secret_plan import FORGOTTEN, ISSUED, Slot, secret_name
from provisioning.entra.orphans import Room, StoredSecret, descriptions, find_room
from provisioning.entra.ownership import STACK_TAG
from provisioning.entra.permissions import Permission
from provisioning.entra.registration import Declared, Registration
from provisioning.errors import DirectoryUnreadable, NocoBaseError, ProvisioningError
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import NocoBaseLogin, missing_login
from provisioning.nocobase.push import SignIn, read, sign_in
from provisioning.pulumi_cli import Checkpoint, Pulumi
from provisioning.resource_types import APPLICATION_TYPE, PASSWORD_TYPE, PUSH_TYPE, STACK_TYPE


@dataclass(frozen=True)
class KnownSecret:
    """A client secret that this stack issued and has not removed. Times are in UTC."""

    slot: Slot
    name: str
    key_id: str
    issued: datetime
    ends: datetime
    value: str | None = field(repr=False)


@dataclass(frozen=True)
class Push:
    """What one NocoBase was given, and proved to use, by the state.

    since: when its `slot` was switched to. problem: why the last push failed, where it is one of several.
    updated_at: what NocoBase said then of when its settings were changed last.
    mapping: where its email manager keeps them, as far as it is declared. logins: see `Installation`.
    """

    name: str
    url: str
    app: str | None
    client_id: str
    client_secret: str | None = field(repr=False)
    redirect_uris: tuple[str, ...]
    slot: Slot | None
    since: datetime | None
    problem: str | None
    updated_at: str | None
    mapping: NocoBaseMapping = field(default_factory=NocoBaseMapping)
    logins: tuple[str, ...] = ("",)

    @property
    def target(self) -> str:
        """Which NocoBase it is, in words."""
        return f"{self.url} ({self.app})" if self.app else self.url


@dataclass(frozen=True)
class Application:
    """The application that the state holds, as it was declared when it was deployed last."""

    client_id: str
    object_id: str
    declared: Declared


@dataclass(frozen=True)
class Deployed:
    """What a stack's state says.

    next_rotation, old_retires: as the last complete run planned them. consent_url: where an administrator of the home
    tenant consents for everybody.
    """

    stack: str
    application: Application | None = None
    tenant_id: str | None = None
    secrets: tuple[KnownSecret, ...] = ()
    pushes: tuple[Push, ...] = ()
    next_rotation: datetime | None = None
    old_retires: datetime | None = None
    consent_url: str | None = None

    def used_by(self, secret: KnownSecret) -> tuple[Push, ...]:
        """The NocoBases that were given this very secret; its slot may hold another one by now."""
        return tuple(push for push in self.pushes if push.slot is secret.slot and push.client_secret == secret.value)


@dataclass(frozen=True)
class Unread:
    """A side that was not read. asked_for: whether that is what the person wanted."""

    reason: str
    asked_for: bool = False


OFFLINE = Unread("--offline", asked_for=True)


@dataclass(frozen=True)
class Extra:
    """What Entra ID has besides what a stack's state holds.

    superseded: client secrets that an interrupted replacement has yet to delete; the state still holds their key ids.
    orphaned: those with a name of this stack's, whose key ids its state does not hold. foreign: all others.
    duplicates: the display names of applications that carry the stack's tag, by their object ids.
    """

    superseded: tuple[StoredSecret, ...] = ()
    orphaned: tuple[StoredSecret, ...] = ()
    foreign: tuple[StoredSecret, ...] = ()
    duplicates: Mapping[str, str] | Unread = field(default_factory=dict)


@dataclass(frozen=True)
class HeldRow:
    """What a NocoBase's email settings show of Microsoft.

    client_id: None where they have nothing for Microsoft. client_secret: None where it is hidden on read. updated_at:
    when they were changed last, as NocoBase writes it.
    """

    client_id: str | None
    client_secret: str | None = field(repr=False)
    updated_at: str


@dataclass(frozen=True)
class Held:
    """What a NocoBase shows: its email settings and its sign-in link; None where the stack does without that."""

    row: HeldRow
    link: SignIn | None


def read_state(stack: str, state: Checkpoint) -> Deployed:
    """What a stack's state says; its secrets must have been asked for."""
    resources = state.by_urn.values()
    outputs: Mapping[str, Any] = next((item["outputs"] for item in resources if item["type"] == STACK_TYPE), {})
    passwords = {_name(item): item["outputs"] for item in resources if item["type"] == PASSWORD_TYPE}
    stem = next((name.rpartition("-secret-")[0] for name in passwords), "")
    application = next((item["outputs"] for item in resources if item["type"] == APPLICATION_TYPE), None)
    forgotten = outputs.get(FORGOTTEN) or ()
    by_slot = {slot: passwords.get(secret_name(stem, slot)) for slot in Slot}
    return Deployed(
        stack=stack,
        application=_application(application) if application else None,
        tenant_id=outputs.get("tenantId"),
        secrets=tuple(
            _secret(slot, found) for slot, found in by_slot.items() if found and found["keyId"] not in forgotten
        ),
        pushes=tuple(_push(_name(item), item["outputs"]) for item in resources if item["type"] == PUSH_TYPE),
        next_rotation=_moment(outputs.get("nextRotation")),
        old_retires=_moment(outputs.get("oldSecretRetires")),
        consent_url=outputs.get("adminConsentUrl"),
    )


def read_registration(state: Deployed, tenant: str | None) -> Registration | Unread | None:
    """The stack's application in Entra ID, None if it is not there. tenant: the stack's, None if nobody knows."""
    if state.application is None:
        return None
    if (elsewhere := _elsewhere(state, tenant)) is not None:
        return elsewhere
    # A second of imports.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        return directory.registration(state.application.object_id)
    except DirectoryUnreadable as error:
        return Unread(error.reason)
    except ProvisioningError as error:
        return Unread(str(error))


def read_duplicates(state: Deployed, checkpoint: Checkpoint, tenant: str | None) -> Mapping[str, str] | Unread:
    """The duplicates of the stack's application. checkpoint: what `state` was read from. tenant: as above."""
    if (elsewhere := _elsewhere(state, tenant)) is not None:
        return elsewhere
    try:
        return find_duplicates(checkpoint)
    except DirectoryUnreadable as error:
        return Unread(error.reason)
    except ProvisioningError as error:
        return Unread(str(error))


def find_duplicates(state: Checkpoint) -> dict[str, str]:
    """Object id → display name of the applications that carry the stack's tag and that its state does not hold.

    A lost answer to the creation of the application leaves one. Raises DirectoryUnreadable.
    """
    own = state.outputs_of(APPLICATION_TYPE)
    tag = next((tag for item in own for tag in item.get("tags") or () if tag.startswith(STACK_TAG)), None)
    if tag is None:
        return {}
    # A second of imports.
    from provisioning.entra import directory  # noqa: PLC0415

    known = {item["objectId"] for item in own}
    return {object_id: name for object_id, name in directory.applications_tagged(tag).items() if object_id not in known}


def read_extra(
    engine: Pulumi,
    state: Deployed,
    checkpoint: Checkpoint,
    found: Registration | Unread | None,
    duplicates: Mapping[str, str] | Unread,
) -> Extra | None:
    """What Entra ID has besides `state`; None where the application was not read. Raises EngineFailed.

    checkpoint: what `state` was read from. found, duplicates: as they were read.
    """
    if isinstance(found, Unread):
        return None
    stored = found.secrets if found else ()
    unknown = unknown_secrets(checkpoint, stored, engine)
    current = {secret.key_id for secret in state.secrets}
    known = (secret for secret in stored if secret not in unknown.orphans + unknown.foreign)
    superseded = tuple(secret for secret in known if secret.key_id not in current)
    return Extra(superseded, unknown.orphans, unknown.foreign, duplicates)


def unknown_secrets(state: Checkpoint, stored: Iterable[StoredSecret], engine: Pulumi) -> Room:
    """Those of the client secrets in Entra ID that the state does not hold. Raises EngineFailed.

    The state holds a secret, too, that an interrupted replacement has yet to delete.
    """
    issued = state.outputs_of(PASSWORD_TYPE)
    known = {str(item["keyId"]) for item in issued}
    unknown = [secret for secret in stored if secret.key_id not in known]
    if not unknown:
        return Room((), ())
    # Pydantic takes its time, and there seldom is an unknown secret.
    from provisioning.program.settings import Settings  # noqa: PLC0415

    description = engine.config("secretDescription") or Settings.model_fields["secret_description"].default
    return find_room(unknown, known, descriptions((str(item["displayName"]) for item in issued), description))


def _elsewhere(state: Deployed, tenant: str | None) -> Unread | None:
    """Why Entra ID is not asked: the stack is in another tenant than the one that ARM_TENANT_ID names."""
    asked = os.environ.get("ARM_TENANT_ID")
    if not _other_tenant(tenant, asked):
        return None
    return Unread(f"it is in tenant {tenant}, and ARM_TENANT_ID is {asked}; see `status --stack {state.stack}`")


def _other_tenant(tenant: str | None, asked: str | None) -> bool:
    """Whether these are surely two tenants; a domain may be of any."""
    try:
        return UUID(tenant) != UUID(asked)
    except (TypeError, ValueError):
        return False


def read_nocobase(push: Push, login: NocoBaseLogin | None) -> Held | Unread:
    """What the NocoBase of `push` holds."""
    if login is None:
        return Unread(missing_login(push.logins[0]).why)
    try:
        return Held(read_row(push, login), read_link(push, login))
    except NocoBaseError as error:
        return Unread(str(error))


def read_row(push: Push, login: NocoBaseLogin) -> HeldRow:
    """The email settings of a NocoBase. Raises NocoBaseError."""
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - httpx is not needed offline

    with NocoBaseClient(push.url, push.app, login) as nocobase:
        found = read(nocobase, push.mapping)
    if found.layout.row is None:
        return HeldRow(None, None, "")
    return HeldRow(found.client_id, found.client_secret, found.updated_at)


def read_link(push: Push, login: NocoBaseLogin) -> SignIn | None:
    """What the sign-in link of a NocoBase says; None where the stack does without. Raises NocoBaseError."""
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - httpx is not needed offline

    with NocoBaseClient(push.url, push.app, login) as nocobase:
        return sign_in(nocobase, push.mapping)


def _application(outputs: Mapping[str, Any]) -> Application:
    declared = Declared(
        display_name=str(outputs["displayName"]),
        audience=str(outputs.get("signInAudience")),
        redirect_uris=frozenset((outputs.get("web") or {}).get("redirectUris") or ()),
        permissions=frozenset(
            Permission(str(resource["resourceAppId"]), str(access["id"]), str(access["type"]))
            for resource in outputs.get("requiredResourceAccesses") or ()
            for access in resource.get("resourceAccesses") or ()
        ),
    )
    return Application(str(outputs["clientId"]), str(outputs["objectId"]), declared)


def _secret(slot: Slot, outputs: Mapping[str, Any]) -> KnownSecret:
    record = (outputs.get("rotateWhenChanged") or {}).get(ISSUED)
    return KnownSecret(
        slot=slot,
        name=str(outputs["displayName"]),
        key_id=str(outputs["keyId"]),
        issued=datetime.fromisoformat(record or outputs["startDate"]),
        ends=datetime.fromisoformat(outputs["endDate"]),
        value=outputs.get("value"),
    )


def _push(name: str, outputs: Mapping[str, Any]) -> Push:
    return Push(
        name=name,
        url=str(outputs["nocobase_url"]),
        app=outputs.get("nocobase_app"),
        client_id=str(outputs["client_id"]),
        client_secret=outputs.get("client_secret"),
        redirect_uris=tuple(outputs.get("redirect_uris") or ()),
        slot=Slot(outputs["slot"]) if outputs.get("slot") else None,
        since=_moment(outputs.get("since")),
        problem=outputs.get("problem"),
        updated_at=outputs.get("updated_at"),
        mapping=NocoBaseMapping.of_record(outputs.get("mapping")),
        logins=tuple(outputs.get("logins") or ("",)),
    )


def _name(resource: Mapping[str, Any]) -> str:
    return str(resource["urn"]).rpartition("::")[2]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
