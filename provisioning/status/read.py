"""Reads what Entra ID shows and what NocoBase holds of a deployed stack. Changes nothing.

A side that cannot be read is an answer, too: `Unread`, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from provisioning.entra.consent import Given, Rule, given, rule, unread
from provisioning.entra.orphans import StoredSecret, UnrecordedSecrets, classify_secrets, descriptions
from provisioning.entra.permissions import scope_name
from provisioning.entra.registration import Principal, Registration
from provisioning.entra.sign_in_settings import sign_in_settings
from provisioning.entra.tags import STACK_TAG
from provisioning.errors import DirectoryUnreadable, NocoBaseError, ProvisioningError, SettingsError, SignInRejected
from provisioning.foreign import redact
from provisioning.nocobase.installation import remedies_for
from provisioning.nocobase.login import STORED, NocoBaseLogin, StoredLogins, missing_login, stored_logins
from provisioning.nocobase.push import read, sign_in
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.program.last_state import Deployed, Push
from provisioning.pulumi_cli import Checkpoint, Pulumi
from provisioning.resource_types import APPLICATION_TYPE, PASSWORD_TYPE, PUSH_PROVIDER_TYPE


@dataclass(frozen=True)
class Unread:
    """A side that was not read. asked_for: whether that is what the person wanted."""

    reason: str
    asked_for: bool = False


OFFLINE = Unread("--offline", asked_for=True)

NOT_ASKED = Unread("nobody asked", asked_for=True)


@dataclass(frozen=True)
class Consent:
    """Who has consented to the application's scopes in its tenant, and who has to."""

    given: Given
    rule: Rule


@dataclass(frozen=True)
class Extra:
    """What Entra ID has besides what a stack's state holds.

    superseded: client secrets that an interrupted replacement has yet to delete; the state still holds their key ids.
    orphaned: those with a name of this stack's, whose key ids its state does not hold. foreign: all others.
    duplicates: the display names of applications that carry the stack's tag, by their object ids.
    principal: the application's service principal in its tenant, None if there is none. consent: to its scopes.
    """

    superseded: tuple[StoredSecret, ...] = ()
    orphaned: tuple[StoredSecret, ...] = ()
    foreign: tuple[StoredSecret, ...] = ()
    duplicates: Mapping[str, str] | Unread = field(default_factory=dict)
    principal: Principal | Unread | None = NOT_ASKED
    consent: Consent | Unread = NOT_ASKED


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


def read_registration(state: Deployed, elsewhere: Unread | None) -> Registration | Unread | None:
    """The stack's application in Entra ID, None if it is not there. elsewhere: why it is not asked, if it is not."""
    if state.application is None:
        return None
    if elsewhere is not None:
        return elsewhere
    # A second of imports.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        return directory.registration(state.application.object_id)
    except ProvisioningError as error:
        return Unread(_why(error))


def read_principal(state: Deployed, elsewhere: Unread | None) -> Principal | Unread | None:
    """The service principal of the stack's application, None if there is none. elsewhere: as above."""
    if state.client_id is None:
        return NOT_ASKED
    if elsewhere is not None:
        return elsewhere
    # A second of imports.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        return directory.principal(state.client_id)
    except ProvisioningError as error:
        return Unread(_why(error))


def read_consent(state: Deployed, principal: Principal | Unread | None) -> Consent | Unread:
    """Who has consented to the scopes of the stack's application. principal: its service principal, as it was read."""
    if state.application is None or principal is None:
        return NOT_ASKED
    if isinstance(principal, Unread):
        return principal
    # A second of imports.
    from provisioning.entra import directory  # noqa: PLC0415

    scopes = sorted(filter(None, map(scope_name, state.application.declared.permissions)))
    try:
        found = given(scopes, directory.grants(principal.object_id))
    except ProvisioningError as error:
        return Unread(_why(error))
    try:
        who = rule(directory.consent_policies() if found.missing else (), scopes, principal.assignment_required)
    except ProvisioningError as error:
        who = unread(_why(error))
    return Consent(found, who)


def read_duplicates(checkpoint: Checkpoint, elsewhere: Unread | None) -> Mapping[str, str] | Unread:
    """The duplicates of the stack's application. checkpoint: the stack's state. elsewhere: as above."""
    if elsewhere is not None:
        return elsewhere
    try:
        return find_duplicates(checkpoint)
    except ProvisioningError as error:
        return Unread(_why(error))


def _why(error: ProvisioningError) -> str:
    """What Entra ID answered, in a few words; of a sign-in the whole sentence, which names the setting to correct."""
    return (
        error.reason if isinstance(error, DirectoryUnreadable) and not isinstance(error, SignInRejected) else str(error)
    )


def find_duplicates(state: Checkpoint) -> dict[str, str]:
    """Object id → display name of the applications that carry the stack's tag and that its state does not hold.

    A lost answer to the creation of the application leaves one; but anybody may set a tag, also that of another stack
    on this stack's application. Raises DirectoryUnreadable.
    """
    own = state.every(APPLICATION_TYPE)
    tag = next(
        (tag for item in state.resources for tag in item["outputs"].get("tags") or () if _is_own(tag, item)), None
    )
    if tag is None:
        return {}
    # A second of imports.
    from provisioning.entra import directory  # noqa: PLC0415

    known = {item["objectId"] for item in own}
    return {object_id: name for object_id, name in directory.applications_tagged(tag).items() if object_id not in known}


def _is_own(tag: str, resource: Mapping[str, Any]) -> bool:
    """Whether `tag` is that of the stack which has the application `resource` in its state."""
    stack, project = str(resource["urn"]).removeprefix("urn:pulumi:").split("::")[:2]
    named = tag.startswith(STACK_TAG) and tag.endswith(f"/{project}/{stack}")
    return named and resource["type"] == APPLICATION_TYPE


def recorded_owners(state: Checkpoint) -> frozenset[str]:
    """The object ids of the owners of the stack's application, by its state."""
    return frozenset(owner for item in state.every(APPLICATION_TYPE) for owner in item.get("owners") or ())


def read_extra(
    engine: Pulumi,
    state: Deployed,
    checkpoint: Checkpoint,
    found: Registration | Unread | None,
    duplicates: Mapping[str, str] | Unread,
    principal: Principal | Unread | None = NOT_ASKED,
    consent: Consent | Unread = NOT_ASKED,
) -> Extra | None:
    """What Entra ID has besides `state`; None where the application was not read. Raises EngineFailed.

    checkpoint: what `state` was read from. found, duplicates, principal, consent: as they were read.
    """
    if isinstance(found, Unread):
        return None
    stored = found.secrets if found else ()
    unknown = unknown_secrets(checkpoint, stored, engine)
    current = {secret.key_id for secret in state.secrets}
    known = (secret for secret in stored if secret not in unknown.orphans + unknown.foreign)
    superseded = tuple(secret for secret in known if secret.key_id not in current)
    return Extra(
        superseded=superseded,
        orphaned=unknown.orphans,
        foreign=unknown.foreign,
        duplicates=duplicates,
        principal=principal,
        consent=consent,
    )


def unknown_secrets(state: Checkpoint, stored: Iterable[StoredSecret], engine: Pulumi) -> UnrecordedSecrets:
    """Those of the client secrets in Entra ID that the state does not hold. Raises EngineFailed.

    The state holds a secret, too, that an interrupted replacement has yet to delete.
    """
    issued = state.every(PASSWORD_TYPE)
    known = {str(item["keyId"]) for item in issued}
    unknown = [secret for secret in stored if secret.key_id not in known]
    if not unknown:
        return UnrecordedSecrets((), ())
    # Pydantic takes its time, and there seldom is an unknown secret.
    from provisioning.program.settings import Settings  # noqa: PLC0415

    description = engine.config("secretDescription") or Settings.model_fields["secret_description"].default
    return classify_secrets(unknown, known, descriptions((str(item["displayName"]) for item in issued), description))


def elsewhere(state: Deployed, tenant: str | None, own_sign_in: bool) -> Unread | None:
    """Why Entra ID is not asked: this process signs in to another tenant than the stack's, or not as the stack does.

    tenant: the stack's, None if unknown. own_sign_in: whether the stack signs in in another way than this process.
    Raises SignInUnusable.
    """
    settings = sign_in_settings()
    if _other_tenant(tenant, settings.tenant):
        why = f"it is in tenant {tenant}, and {settings.origin('tenantId')} is {settings.tenant}"
    elif own_sign_in:
        why = "its configuration says how to sign in to Entra ID (azuread:…)"
    else:
        return None
    return Unread(f"{why}; see `status --stack {state.stack}`")


def _other_tenant(tenant: str | None, asked: str | None) -> bool:
    """Whether these are surely two tenants; a domain may be of any."""
    try:
        return UUID(tenant) != UUID(asked)
    except (TypeError, ValueError):
        return False


def pushed_logins(checkpoint: Checkpoint) -> StoredLogins:
    """What the last push was given of the stack's configuration; nothing where the state's secrets cannot be read."""
    for provider in checkpoint.every(PUSH_PROVIDER_TYPE):
        given = {key.rpartition(":")[2]: value for key, value in provider.items()}
        with suppress(SettingsError):
            return stored_logins({key: given.get(key) for key in STORED})
    return StoredLogins()


def read_nocobase(push: Push, login: NocoBaseLogin | Unread | None) -> Held | Unread:
    """What the NocoBase of `push` holds. login: why there is none that can be used, where it says so."""
    if isinstance(login, Unread):
        return login
    if login is None:
        return Unread(missing_login(push.logins[0]).why)
    try:
        return Held(read_row(push, login), read_link(push, login))
    except NocoBaseError as error:
        return Unread(str(error))


def read_row(push: Push, login: NocoBaseLogin) -> HeldRow:
    """The email settings of a NocoBase. Raises NocoBaseError."""
    if push.config_file:
        from provisioning.nocobase3 import look  # noqa: PLC0415 - ruamel.yaml is not needed for a NocoBase 2

        with remedies_for(push.logins):
            held = look.held(push.config_file, push.mail_provider or "")
        return HeldRow(held.client_id if held.exists else None, held.client_secret, "")
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - httpx is not needed offline

    with (
        remedies_for(push.logins),
        NocoBaseClient(push.url, push.app, login, secrets=[push.client_secret]) as nocobase,
    ):
        found = read(nocobase, push.mapping, transformed=push.transformed)
        updated_at = redact(found.updated_at, nocobase.secrets)
    if found.layout.row is None:
        return HeldRow(None, None, "")
    return HeldRow(found.client_id, found.client_secret, updated_at)


def read_link(push: Push, login: NocoBaseLogin) -> SignIn | None:
    """What the sign-in link of a NocoBase says; None where the stack does without. Raises NocoBaseError."""
    if push.config_file:
        from provisioning.nocobase3 import look  # noqa: PLC0415 - as above

        provider, secrets = push.mail_provider or "", tuple(filter(None, [push.client_secret]))
        with suppress(NocoBaseError):
            # Its link may show what somebody has put into the configuration since.
            secrets = (*secrets, *look.secrets_of(look.held(push.config_file, provider)))
        with remedies_for(push.logins):
            return look.link(push.url, provider, login, secrets)
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - httpx is not needed offline

    with (
        remedies_for(push.logins),
        NocoBaseClient(push.url, push.app, login, secrets=[push.client_secret]) as nocobase,
    ):
        return sign_in(nocobase, push.mapping)
