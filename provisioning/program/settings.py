"""The settings of a stack: its configuration and the environment as one typed, validated, frozen object.

Two sources, and who wins:

- `Settings`: the stack's configuration (`Pulumi.<stack>.yaml`), then the defaults below. Never the environment: a
  variable left over from another deployment must not send credentials to the wrong NocoBase.
- `NocoBaseLogin`: the environment, then the stack's secret configuration (see `nocobase.login`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self, get_origin

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from provisioning.addresses import comparable
from provisioning.entra import permissions, rules
from provisioning.entra.client_secret_plan import Policy, why_invalid_policy
from provisioning.entra.permissions import Permission
from provisioning.entra.rules import Audience
from provisioning.entra.scopes import DEFAULT_SCOPES, NOCOBASE_3_SCOPES, asked_by_nocobase_3
from provisioning.foreign import parsed_json
from provisioning.nocobase.installation import HEADERS, INSTALLATION_HEADERS, MAIN, Configuration, Installation
from provisioning.nocobase.layout import COLLECTION, VERIFY_ACTION, NocoBaseMapping
from provisioning.nocobase.retry import DEFAULT_SECONDS
from provisioning.program.input_errors import invalid, raise_if
from provisioning.program.setting_values import (
    Address,
    Collection,
    ConfigurationPlace,
    FieldName,
    FurtherPermission,
    Headers,
    HeadersByInstallation,
    InstallationName,
    MailProvider,
    ObjectId,
    Scalar,
    Scope,
    SubApplication,
    Tag,
    Text,
)

CLOCK_DIFFERENCE = timedelta(minutes=5)
"""How far the clock of another machine, which set a time, may be ahead of this one's."""


class Consent(StrEnum):
    """Who consents to the scopes."""

    USER = "user"
    """Every user at the first sign-in, where the tenant allows it."""
    TENANT = "tenant"
    """This program, once for everybody in the tenant; the caller needs the right to grant it."""


class SameName(StrEnum):
    """What the first deployment does if an application made by hand has the same name."""

    REFUSE = "refuse"
    ALLOW = "allow"


class StackConfiguration(PydanticBaseSettingsSource):
    """The stack's configuration as the engine passes it: every value a string, lists as JSON, unset ones empty."""

    def __init__(self, settings_cls: type[BaseSettings], config: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._config = config

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of one setting, its configuration key, and whether it is a list or an object."""
        key = field.alias or field_name
        return self._config.get(key), key, is_list(field) or _is_object(field)

    def __call__(self) -> dict[str, Any]:
        """The values that are set, also under unknown keys, which pydantic then rejects."""
        values: dict[str, Any] = {key: value for key, value in self._config.items() if value != ""}
        for name, field in self.settings_cls.model_fields.items():
            value, key, is_json = self.get_field_value(field, name)
            # A list or an object where text belongs is rejected as such; what is not JSON stays text.
            if isinstance(value, str) and (is_json or value.startswith(("[", "{"))):
                with suppress(ValueError):
                    values[key] = parsed_json(value)
        return values


MAIL_PROVIDER = "outlook"
"""The name of the entry in a NocoBase 3's configuration, to which connected accounts belong."""


class MappingSettings(BaseModel):
    """Where the email manager keeps the credentials, if it is not autodetected; see `nocobase.layout`."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    collection: Collection = COLLECTION
    row_filter: dict[str, Scalar] = {}
    client_id_field: FieldName | None = None
    client_secret_field: FieldName | None = None
    verify_action: str = VERIFY_ACTION

    @property
    def mapping(self) -> NocoBaseMapping:
        """The same, for the push."""
        return NocoBaseMapping(**self.model_dump())


class InstallationSettings(BaseModel):
    """A further NocoBase that the same application serves."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    name: InstallationName
    url: Address
    app: SubApplication = None
    take_over: str | None = None
    mapping: MappingSettings | None = None
    config_file: ConfigurationPlace = None
    mail_provider: MailProvider = MAIL_PROVIDER
    restart: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _check_sub_application(self) -> Self:
        raise_if(why_no_sub_application(self.app, self.config_file))
        return self


def default_scopes(places: Sequence[str | None]) -> tuple[str, ...]:
    """What the served NocoBases ask for. places: of their configurations, None for each NocoBase 2."""
    scopes = [*(DEFAULT_SCOPES if None in places else ()), *(NOCOBASE_3_SCOPES if any(places) else ())]
    return tuple(dict.fromkeys(scopes))


class Settings(BaseSettings):
    """The settings of one stack. The field names in camelCase are the configuration keys."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    nocobase_url: Address
    nocobase_app: SubApplication = None
    nocobase_take_over: str | None = None
    nocobase_patience_seconds: int = Field(DEFAULT_SECONDS, ge=0, le=3600)
    nocobase_mapping: MappingSettings = MappingSettings()
    nocobase_config_file: ConfigurationPlace = None
    nocobase_mail_provider: MailProvider = MAIL_PROVIDER
    nocobase_restart: tuple[Text, ...] = ()
    nocobase_installations: tuple[InstallationSettings, ...] = ()
    nocobase_headers: Headers = Field({}, repr=False)
    nocobase_installation_headers: HeadersByInstallation = Field({}, repr=False)
    audience: Audience = Audience.ANY_TENANT_AND_PERSONAL
    application_name: str = "NocoBase mail"
    scopes: tuple[Scope, ...] = Field((), validate_default=True)
    redirect_uris: tuple[Text, ...] = Field((), validate_default=True)
    owners: tuple[ObjectId, ...] = ()
    former_owners: tuple[ObjectId, ...] = ()
    secret_description: str = "NocoBase mail"
    secret_lifetime_days: int = 180
    rotate_every_days: int = Field(90, ge=1)
    retire_after_days: int = Field(7, ge=0, validate_default=True)
    rotate_requested_at: AwareDatetime | None = None
    compromised_before: AwareDatetime | None = None
    consent: Consent = Consent.USER
    further_permissions: tuple[FurtherPermission, ...] = ()
    tags: tuple[Tag, ...] = ()
    same_name: SameName = SameName.REFUSE
    protect_application: bool = False

    @property
    def rotation_policy(self) -> Policy:
        """How long secrets live, and when they are rotated."""
        return Policy(
            description=self.secret_description,
            lifetime_days=self.secret_lifetime_days,
            rotate_every_days=self.rotate_every_days,
            retire_after_days=self.retire_after_days,
            requested=self.rotate_requested_at,
            compromised=self.compromised_before,
        )

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """The permissions that the application declares: the scopes, then the further permissions."""
        further = (permissions.parse(text) for text in self.further_permissions)
        return (*permissions.of_scopes(self.scopes), *(permission for permission in further if permission is not None))

    @property
    def installations(self) -> tuple[Installation, ...]:
        """Every NocoBase that is served: the main one, then the further ones."""
        main = Installation(
            name=MAIN,
            url=self.nocobase_url,
            app=self.nocobase_app,
            take_over=self.nocobase_take_over,
            mapping=self.nocobase_mapping.mapping,
            redirect_uris=self._redirect_uris_of(self._places[0]),
            configuration=self._configuration(
                self.nocobase_config_file, self.nocobase_mail_provider, self.nocobase_restart
            ),
        )
        return (main, *map(self._further_installation, self.nocobase_installations))

    def _further_installation(self, declared: InstallationSettings) -> Installation:
        on_the_main_server = declared.url == self.nocobase_url
        return Installation(
            name=declared.name,
            url=declared.url,
            app=declared.app,
            take_over=declared.take_over,
            mapping=(declared.mapping or self.nocobase_mapping).mapping,
            redirect_uris=self._redirect_uris_of((declared.url, declared.app, declared.config_file)),
            # One server's key must never be sent to another server.
            logins=(declared.name, MAIN) if on_the_main_server else (declared.name,),
            configuration=self._configuration(declared.config_file, declared.mail_provider, declared.restart),
        )

    def _configuration(self, place: str | None, provider: str, restart: tuple[str, ...]) -> Configuration | None:
        return Configuration(place, provider, restart, asked_by_nocobase_3(self._scopes_of_3)) if place else None

    @property
    def _scopes_of_3(self) -> tuple[str, ...]:
        """The scopes for a NocoBase 3: its own default, where a NocoBase 2 beside it has another one."""
        by_default = self.scopes == default_scopes([place for _, _, place in self._places])
        return NOCOBASE_3_SCOPES if by_default else self.scopes

    @property
    def _places(self) -> list[tuple[str, str | None, str | None]]:
        """Address, sub-application and configuration of each installation, the main one first."""
        return [
            (self.nocobase_url, self.nocobase_app, self.nocobase_config_file),
            *((one.url, one.app, one.config_file) for one in self.nocobase_installations),
        ]

    def _redirect_uris_of(self, own: tuple[str, str | None, str | None]) -> tuple[str, ...]:
        """The declared redirect URIs without those that belong to other installations."""
        of_others = {redirect_uri(*place) for place in self._places} - {redirect_uri(*own)}
        return tuple(uri for uri in self.redirect_uris if uri not in of_others)

    @property
    def tenant_consent(self) -> bool:
        """Whether this program consents for everybody in the tenant."""
        return self.consent is Consent.TENANT

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The stack's configuration alone."""
        return (StackConfiguration(settings_cls, init_settings()),)

    @field_validator("nocobase_installations")
    @classmethod
    def _check_installations(
        cls, installations: tuple[InstallationSettings, ...], info: ValidationInfo
    ) -> tuple[InstallationSettings, ...]:
        names = [installation.name for installation in installations]
        places = [(info.data.get("nocobase_url"), info.data.get("nocobase_app"))]
        places += [(installation.url, installation.app) for installation in installations]
        repeated = [name for name in names if names.count(name) > 1]
        repeated += [f"{url} {app or ''}".strip() for url, app in places if places.count((url, app)) > 1]
        if repeated:
            raise invalid(f"Named more than once: {', '.join(sorted(set(repeated)))}.")
        return installations

    @field_validator("nocobase_config_file")
    @classmethod
    def _check_sub_application(cls, place: str | None, info: ValidationInfo) -> str | None:
        raise_if(why_no_sub_application(info.data.get("nocobase_app"), place))
        return place

    @field_validator("former_owners")
    @classmethod
    def _check_former_owners(cls, former: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        both = sorted(set(former) & set(info.data.get("owners", ())))
        if both:
            raise invalid(f"Named in owners as well: {', '.join(both)}. Take each out of one of the two.")
        return former

    @field_validator("audience")
    @classmethod
    def _check_audience(cls, audience: Audience) -> Audience:
        raise_if(rules.why_invalid_audience(audience))
        return audience

    @field_validator("application_name")
    @classmethod
    def _check_application_name(cls, name: str, info: ValidationInfo) -> str:
        raise_if(rules.why_invalid_name(name, _audience(info)))
        return name

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, scopes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not scopes:
            further = info.data.get("nocobase_installations", ())
            return default_scopes([info.data.get("nocobase_config_file"), *(one.config_file for one in further)])
        repeated = sorted({scope for scope in scopes if scopes.count(scope) > 1})
        if repeated:
            raise invalid(f"Named more than once: {', '.join(repeated)}.")
        return scopes

    @field_validator("further_permissions")
    @classmethod
    def _check_permissions(cls, further: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        every = permissions.of_scopes(info.data.get("scopes", ()))
        every += [permission for permission in map(permissions.parse, further) if permission is not None]
        raise_if(rules.why_too_many_permissions(every, _audience(info)))
        return further

    @field_validator("owners")
    @classmethod
    def _check_owners(cls, owners: tuple[str, ...]) -> tuple[str, ...]:
        raise_if(rules.why_too_many_owners(len(set(owners)) + 1))
        return owners

    @field_validator("redirect_uris")
    @classmethod
    def _check_redirect_uris(cls, uris: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not uris and "nocobase_url" in info.data:
            further = info.data.get("nocobase_installations", ())
            uris = (
                redirect_uri(
                    info.data["nocobase_url"], info.data.get("nocobase_app"), info.data.get("nocobase_config_file")
                ),
                *(redirect_uri(one.url, one.app, one.config_file) for one in further),
            )
        reasons = [(uri, rules.why_invalid_redirect_uri(uri, _audience(info))) for uri in uris]
        raise_if(" ".join(f"{_without_account(uri)}: {reason}" for uri, reason in reasons if reason))
        uris = tuple(dict.fromkeys(map(comparable, uris)))
        raise_if(rules.why_too_many_redirect_uris(len(uris), _audience(info)))
        return uris

    @field_validator("secret_description")
    @classmethod
    def _check_secret_description(cls, description: str) -> str:
        if not description.strip():
            raise invalid("The description is empty; in Entra ID it shows people what the secret is for.")
        return description

    @field_validator("secret_lifetime_days")
    @classmethod
    def _check_secret_lifetime(cls, days: int) -> int:
        raise_if(rules.why_invalid_secret_lifetime(days))
        return days

    @field_validator("retire_after_days")
    @classmethod
    def _check_rotation(cls, days: int, info: ValidationInfo) -> int:
        # Validated with the last of the three, and only if the other two are valid.
        if "secret_lifetime_days" in info.data and "rotate_every_days" in info.data:
            lifetime, every = info.data["secret_lifetime_days"], info.data["rotate_every_days"]
            reason = why_invalid_policy(lifetime, every, days)
            if reason is not None:
                durations = {"secret_lifetime_days": lifetime, "rotate_every_days": every, "retire_after_days": days}
                raise _contradiction(reason, durations)
        return days

    @field_validator("compromised_before")
    @classmethod
    def _check_compromised(cls, moment: datetime | None) -> datetime | None:
        # The time by which secrets are planned needs the whole SDK, and few stacks have this setting.
        from provisioning.program.stack import now  # noqa: PLC0415

        if moment is not None and moment > now() + CLOCK_DIFFERENCE:
            raise invalid(
                "It lies in the future, and would be ignored until then. A secret that has leaked is replaced by "
                "`python -m provisioning rotate --compromised`."
            )
        return moment


def redirect_uri(nocobase_url: str, nocobase_app: str | None = None, config_file: str | None = None) -> str:
    """Where Microsoft sends users back to after the sign-in.

    config_file: of a NocoBase 3, which has an address of its own for it; None for a NocoBase 2, whose email manager's
    page it is. Source: the documentation of both; for sub-applications NocoBase's own routes.
    """
    if config_file:
        return f"{nocobase_url}/mail/oauth/callback"
    application = f"/apps/{nocobase_app}" if nocobase_app else ""
    return f"{nocobase_url}{application}/admin/settings/mail/oauth2"


def why_no_sub_application(app: str | None, config_file: str | None) -> str | None:
    """Why a NocoBase cannot be a sub-application; None if it can."""
    if not app or not config_file:
        return None
    return "A NocoBase 3 has no sub-applications; where it is mounted below a path, its address has that path."


def _without_account(uri: str) -> str:
    """`uri`, unless it may hold a password."""
    return "…" if "@" in uri else uri


def _audience(info: ValidationInfo) -> Audience:
    """The audience by which other settings are validated: the one that is set, or the default if that is not valid."""
    audience: Audience = info.data.get("audience", Settings.model_fields["audience"].default)
    return audience


def _contradiction(reason: str, durations: Mapping[str, int]) -> PydanticCustomError:
    """The error for durations that contradict each other; it is reported of the first that is not the default."""
    fields = Settings.model_fields
    changed = [name for name, days in durations.items() if days != fields[name].default]
    name = (changed or ["retire_after_days"])[0]
    lifetime, every, retire = durations.values()
    allowed = []
    if retire < every < rules.LONGEST_SECRET_LIFETIME_DAYS - retire:
        allowed.append(f"secretLifetimeDays from {every + retire + 1}")
    if lifetime - retire - 1 > retire:
        allowed.append(f"rotateEveryDays from {retire + 1} to {lifetime - retire - 1}")
    if every < lifetime:
        allowed.append(f"retireAfterDays from 0 to {min(every, lifetime - every) - 1}")
    remedy = f"Change one of them; allowed, with the others as they are: {'; or '.join(allowed)}."
    if not allowed:
        remedy = f"Restore the defaults: {', '.join(f'pulumi config rm {fields[one].alias}' for one in changed)}."
    return invalid(reason, field=name, value=str(durations[name]), remedy=remedy)


def is_list(field: FieldInfo) -> bool:
    """Whether a setting is a list."""
    return get_origin(field.annotation) is tuple


def _is_object(field: FieldInfo) -> bool:
    return field.annotation is MappingSettings or field.alias in (HEADERS, INSTALLATION_HEADERS)
