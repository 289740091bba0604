"""What a stack's state says, for the plan of the next run and for the commands beside the program. Pure.

The engine answers the state to a running program (`stack.last_state`), and exports it as a checkpoint
(`pulumi_cli.Checkpoint.outputs`); either comes here as `Resources`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from provisioning.entra.client_secret_plan import ISSUED, IssuedSecret, LastSecrets, Slot, secret_name
from provisioning.entra.permissions import Permission
from provisioning.entra.registration import OTHER_PLATFORMS, Declared
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.resource_types import (
    APPLICATION_NAME,
    APPLICATION_TYPE,
    AWAITED_AUDIENCE,
    AZUREAD_PROVIDER_TYPE,
    COMPONENT_TYPE,
    GRANT_TYPE,
    LEFT_OWNERS,
    OWN_OWNERS,
    OWN_PRINCIPAL_OWNERS,
    OWN_TAGS,
    PASSWORD_TYPE,
    PRINCIPAL_TYPE,
    PUSH_TYPE,
    STACK_TYPE,
    taken_over,
)

CONSENT_TAKEN_OVER = "consentTakenOver"
"""The output of a stack whose consent was taken over under the application's name; the next run renames it."""

Resources = Mapping[tuple[str, str], Mapping[str, Any]]
"""Type and name of a resource → its outputs. They may hold secrets: never log them."""


@dataclass(frozen=True)
class KnownSecret:
    """A client secret that this stack issued and has not removed. Times are in UTC.

    issued: as planned, which is the beginning of the day for a stack's first one. start: when Entra ID issued it, by
    its own word. recorded: see `IssuedSecret`. value: None where the state's secrets were not asked for.
    """

    slot: Slot
    name: str
    key_id: str
    issued: datetime
    ends: datetime
    value: str | None = field(repr=False)
    recorded: bool = True
    start: datetime | None = None

    @property
    def as_issued(self) -> IssuedSecret:
        """The same, for the plan."""
        return IssuedSecret(self.name, self.issued, self.ends, self.recorded, self.key_id)


@dataclass(frozen=True)
class Push:
    """What one NocoBase was given, and verified to use, by the state.

    since: when its `slot` was switched to. problem: why the last push failed, where it is one of several.
    updated_at: what NocoBase said then of when its settings were changed last.
    mapping: where its email manager keeps them, as far as it is declared. logins: see `Installation`.
    proved_redirect_uri: what its sign-in link named when it was verified; None if it has none.
    transformed: see `Layout`. config_file, mail_provider: of a NocoBase 3; see `nocobase.installation.Configuration`.
    restart_due: what to say as long as it has not been restarted.
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
    transformed: bool = False
    proved_redirect_uri: str | None = None
    config_file: str | None = None
    mail_provider: str | None = None
    restart_due: str | None = None

    @property
    def redirect_uris_in_use(self) -> frozenset[str]:
        """The redirect URIs to which it may send users back; empty if it was never verified to use anything."""
        if self.slot is None:
            return frozenset()
        proved = self.proved_redirect_uri
        return frozenset([proved]) if proved and proved in self.redirect_uris else frozenset(self.redirect_uris)

    @property
    def target(self) -> str:
        """Which NocoBase it is, in words."""
        return f"{self.url} ({self.app})" if self.app else self.url

    def gave(self, secret: KnownSecret) -> bool:
        """Whether it was this very secret; its slot may hold another one by now."""
        return self.slot is secret.slot and self.client_secret == secret.value


@dataclass(frozen=True)
class Application:
    """The application that the state holds, as it was declared when it was deployed last.

    client_id: empty where its creation was interrupted. owners: object ids. token_version: of the access tokens for an
    API of its own; None where the state does not say. own_owners: those of the owners that any run puts back.
    left_owners: whom the settings named in the last run although they had left the tenant. awaited_audience: the one
    that the settings wanted in the last run, which kept the earlier one.
    of_other_platforms: the redirect URIs of each platform besides Web, by azuread's name of it.
    """

    client_id: str
    object_id: str
    declared: Declared
    tags: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()
    token_version: int | None = None
    own_owners: frozenset[str] = frozenset()
    of_other_platforms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_owners: frozenset[str] = frozenset()
    awaited_audience: str | None = None


@dataclass(frozen=True)
class Principal:
    """The service principal that the state holds. owners, own_owners: as the application's."""

    object_id: str
    owners: frozenset[str] = frozenset()
    own_owners: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Deployed:
    """What a stack's state says, also after a run that failed half-way.

    next_rotation, old_retires: as the last complete run planned them. There is no old_retires as long as a NocoBase has
    to be restarted first.
    consent: the id of the declared consent for the tenant; None if there is none. consent_taken_over: whether an
    administrator had given it before. sign_in: what the stack's configuration said to the azuread provider; None for a
    value that was not asked for.
    """

    stack: str
    application: Application | None = None
    tenant_id: str | None = None
    secrets: tuple[KnownSecret, ...] = ()
    pushes: tuple[Push, ...] = ()
    next_rotation: datetime | None = None
    old_retires: datetime | None = None
    principal: Principal | None = None
    consent: str | None = None
    consent_taken_over: bool = False
    sign_in: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def used_by(self, secret: KnownSecret) -> tuple[Push, ...]:
        """The NocoBases that were given this very secret."""
        return tuple(push for push in self.pushes if push.gave(secret))

    @property
    def client_id(self) -> str | None:
        """The application's, None if there is none yet, or if its creation was interrupted."""
        return self.application.client_id or None if self.application else None

    @property
    def object_id(self) -> str | None:
        """The application's, None if there is none yet."""
        return self.application.object_id if self.application else None

    @property
    def pushed(self) -> dict[str, str]:
        """When the settings of each NocoBase were changed by its push, by the push's resource name."""
        return {push.name: push.updated_at or "" for push in self.pushes}

    def secrets_for(self, declared: Collection[str]) -> LastSecrets:
        """What the plan of the client secrets starts from. declared: the resource names of the pushes of this run.

        `replaced` are those that may be: only an exported state shows what the engine still has to delete.
        While an old secret exists, an installation without a push in the state may use it: a run may have been
        interrupted between the write to that NocoBase and the record of it.
        """
        slots = {secret.slot: secret.as_issued for secret in self.secrets}
        usages = [self._usage(push) for push in self.pushes]
        if usages and len(slots) > 1:
            usages += [Usage() for name in declared if name not in self.pushed]
        replaced = frozenset(push.slot for push in self.pushes if push.slot in slots and self._maybe_replaced(push))
        return replace(in_use(slots, usages), replaced=replaced)

    def _maybe_replaced(self, push: Push) -> bool:
        """Whether the secret that a NocoBase was given may be one that the engine has replaced since.

        Where another stack's client ID is there, a refresh has found that stack's secret, too.
        """
        return push.client_id == self.client_id and not self._recorded(push)

    def _recorded(self, push: Push) -> bool:
        """Whether the state has a record of the very secret that a NocoBase was given."""
        return any(push.gave(secret) for secret in self.secrets)

    def _usage(self, push: Push) -> Usage:
        # Else a run issued a new secret into the slot, and was interrupted before the push.
        return Usage(push.slot if self._recorded(push) else None, push.since if push.slot else None)


@dataclass(frozen=True)
class Usage:
    """Which secret one NocoBase was verified to use last.

    slot: None if none was, or if another secret has been issued into that slot since. since: when it was switched to.
    """

    slot: Slot | None = None
    since: datetime | None = None


def in_use(slots: Mapping[Slot, IssuedSecret], usages: Sequence[Usage]) -> LastSecrets:
    """Which secret the plan may take for the one in use, where several NocoBase installations use the application.

    It is the oldest one that any of them was verified to use: that one is neither removed nor replaced, and the newer
    one is pushed to all of them again. Only when all use the same one does its time of use begin, with the last switch.
    """
    verified = {usage.slot for usage in usages if usage.slot is not None and usage.slot in slots}
    active = min(verified, key=lambda slot: slots[slot].issued, default=None)
    agreed = len({usage.slot for usage in usages}) == 1
    times = [usage.since for usage in usages if usage.since is not None]
    return LastSecrets(slots, active, max(times) if agreed and times else None)


def read_state(resources: Resources, stack: str = "", name: str = APPLICATION_NAME) -> Deployed:
    """What a stack's state says. stack: its name, for those who show it. name: of its application."""
    exported = next((outputs for (kind, _), outputs in resources.items() if kind == STACK_TYPE), {})
    own = resources.get((COMPONENT_TYPE, name)) or {}
    application = resources.get((APPLICATION_TYPE, name))
    principal = resources.get((PRINCIPAL_TYPE, name))
    passwords = {slot: resources.get((PASSWORD_TYPE, secret_name(name, slot))) for slot in Slot}
    granted, given = (resources.get((GRANT_TYPE, one)) or {} for one in (name, taken_over(name)))
    consent = given.get("id") or granted.get("id")
    pushes = tuple(_push(name, outputs) for (kind, name), outputs in resources.items() if kind == PUSH_TYPE)
    waits = any(push.restart_due for push in pushes)
    return Deployed(
        stack=stack,
        application=_application(application, own) if application else None,
        tenant_id=exported.get("tenantId"),
        secrets=tuple(_secret(slot, outputs) for slot, outputs in passwords.items() if outputs),
        pushes=pushes,
        next_rotation=_moment(exported.get("nextRotation")),
        old_retires=None if waits else _moment(exported.get("oldSecretRetires")),
        principal=Principal(_object_id(principal), _owners(principal), _owners(own, OWN_PRINCIPAL_OWNERS))
        if principal
        else None,
        consent=consent,
        sign_in=next((given for (kind, _), given in resources.items() if kind == AZUREAD_PROVIDER_TYPE), {}),
        consent_taken_over=consent is not None and consent in (given.get("id"), exported.get(CONSENT_TAKEN_OVER)),
    )


def _application(outputs: Mapping[str, Any], own: Mapping[str, Any]) -> Application:
    """own: the outputs of its component; an earlier version recorded no tags and owners there."""
    declared = Declared(
        display_name=str(outputs["displayName"]),
        audience=str(outputs.get("signInAudience")),
        redirect_uris=frozenset((outputs.get("web") or {}).get("redirectUris") or ()),
        permissions=frozenset(
            Permission(str(resource["resourceAppId"]), str(access["id"]), str(access["type"]))
            for resource in outputs.get("requiredResourceAccesses") or ()
            for access in resource.get("resourceAccesses") or ()
        ),
        tags=frozenset(own.get(OWN_TAGS) or ()),
    )
    return Application(
        client_id=str(outputs.get("clientId") or ""),
        object_id=_object_id(outputs),
        declared=declared,
        tags=tuple(outputs.get("tags") or ()),
        owners=_owners(outputs),
        token_version=(outputs.get("api") or {}).get("requestedAccessTokenVersion"),
        own_owners=_owners(own, OWN_OWNERS),
        of_other_platforms={name: tuple((outputs.get(name) or {}).get("redirectUris") or ()) for name in PLATFORMS},
        left_owners=_owners(own, LEFT_OWNERS),
        awaited_audience=own.get(AWAITED_AUDIENCE),
    )


PLATFORMS = {
    "singlePageApplication": OTHER_PLATFORMS["spa"],
    "publicClient": OTHER_PLATFORMS["publicClient"],
}
"""azuread's name of each platform besides Web → its name in the portal."""


def _object_id(outputs: Mapping[str, Any]) -> str:
    """The id of an object, which alone is recorded where its creation was interrupted."""
    return str(outputs.get("objectId") or str(outputs["id"]).rpartition("/")[2])


def _owners(outputs: Mapping[str, Any], key: str = "owners") -> frozenset[str]:
    return frozenset(map(str, outputs.get(key) or ()))


def _secret(slot: Slot, outputs: Mapping[str, Any]) -> KnownSecret:
    recorded = (outputs.get("rotateWhenChanged") or {}).get(ISSUED)
    return KnownSecret(
        slot=slot,
        name=str(outputs["displayName"]),
        key_id=str(outputs.get("keyId") or str(outputs["id"]).rpartition("/")[2]),
        issued=datetime.fromisoformat(recorded or outputs["startDate"]),
        ends=datetime.fromisoformat(outputs["endDate"]),
        value=outputs.get("value"),
        recorded=recorded is not None,
        start=datetime.fromisoformat(start) if (start := outputs.get("startDate")) else None,
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
        proved_redirect_uri=outputs.get("proved_redirect_uri"),
        transformed=bool(outputs.get("secret_transformed")),
        config_file=outputs.get("config_file"),
        mail_provider=outputs.get("mail_provider"),
        restart_due=outputs.get("restart_due"),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
