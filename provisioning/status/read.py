"""Reads what Entra ID shows and what NocoBase holds of a deployed stack. Changes nothing.

A side that cannot be read is an answer, too: `Unread`, with the reason.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from uuid import UUID

from provisioning.entra.registration import Registration
from provisioning.errors import DirectoryUnreadable, NocoBaseError, ProvisioningError
from provisioning.nocobase.login import NocoBaseLogin, missing_login
from provisioning.nocobase.push import SignIn, read, sign_in
from provisioning.program.last_state import Deployed, Push


@dataclass(frozen=True)
class Unread:
    """A side that was not read. asked_for: whether that is what the person wanted."""

    reason: str
    asked_for: bool = False


OFFLINE = Unread("--offline", asked_for=True)


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


def read_registration(state: Deployed, tenant: str | None) -> Registration | Unread | None:
    """The stack's application in Entra ID, None if it is not there. tenant: the stack's, None if nobody knows."""
    if state.application is None:
        return None
    asked = os.environ.get("ARM_TENANT_ID")
    if _other_tenant(tenant, asked):
        return Unread(f"it is in tenant {tenant}, and ARM_TENANT_ID is {asked}; see `status --stack {state.stack}`")
    # A second of imports.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        return directory.registration(state.application.object_id)
    except DirectoryUnreadable as error:
        return Unread(error.reason)
    except ProvisioningError as error:
        return Unread(str(error))


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
