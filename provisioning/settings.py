"""What a stack is to be: the stack's configuration and the environment as one typed, validated, frozen object.

Two sources, and who wins:

- `Settings`: the stack's configuration (`Pulumi.<stack>.yaml`), then the defaults below. Never the environment: a
  variable left over from another deployment must not send credentials to the wrong NocoBase.
- `NocoBaseLogin`: the environment, then the stack's secret configuration (see `nocobase.login`).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, get_origin
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from provisioning.entra import rules
from provisioning.entra.rotation import Policy, refuses_policy
from provisioning.entra.rules import Audience
from provisioning.entra.scopes import DEFAULT_SCOPES, SCOPE_IDS
from provisioning.errors import Problem, SettingsError
from provisioning.nocobase.login import API_KEY, NocoBaseLogin, load_login, missing_login


class Consent(StrEnum):
    """Who consents to the scopes."""

    USER = "user"
    """Every user at the first sign-in, where the tenant allows it."""
    TENANT = "tenant"
    """This program, once for everybody in the tenant; the caller needs the right to grant it."""


def _known_scope(name: str) -> str:
    if name in SCOPE_IDS:
        return name
    close = _nearest(name, SCOPE_IDS)
    hint = f"Nearest: {', '.join(close)}." if close else f"Known: {', '.join(SCOPE_IDS)}."
    reason = f"This is no delegated mail permission of Microsoft Graph. {hint}"
    raise _refusal(reason, suggestion=close[0] if close else None)


def _object_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise _refusal(
            "An owner is given by its object id in Entra ID, like 1b4e28ba-2fa1-11d2-883f-0016d3cca427."
        ) from None


class StackConfiguration(PydanticBaseSettingsSource):
    """The stack's configuration as the engine hands it over: every value a string, lists as JSON, unset ones empty."""

    def __init__(self, settings_cls: type[BaseSettings], config: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._config = config

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of one setting, its configuration key, and whether it is a list."""
        key = field.alias or field_name
        return self._config.get(key), key, _is_list(field)

    def __call__(self) -> dict[str, Any]:
        """What is set; keys that are no settings are passed on, to be refused."""
        values: dict[str, Any] = {key: value for key, value in self._config.items() if value != ""}
        for name, field in self.settings_cls.model_fields.items():
            value, key, is_list = self.get_field_value(field, name)
            if value and is_list:
                # What is no JSON is left as it is, to be refused as no list.
                with suppress(json.JSONDecodeError):
                    values[key] = json.loads(value)
        return values


class Settings(BaseSettings):
    """The settings of one stack. The field names in camelCase are the configuration keys."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    nocobase_url: str = Field(examples=["https://nocobase.example.com"])
    nocobase_app: str | None = Field(None, examples=["sales"])
    nocobase_take_over: str | None = Field(None, examples=["<client id found there>"])
    audience: Audience = Field(Audience.ANY_TENANT_AND_PERSONAL, examples=[Audience.ANY_TENANT])
    application_name: str = Field("NocoBase mail", examples=["'NocoBase mail'"])
    scopes: tuple[Annotated[str, AfterValidator(_known_scope)], ...] = Field(DEFAULT_SCOPES, examples=["email"])
    redirect_uris: tuple[str, ...] = Field(
        (), validate_default=True, examples=["https://nocobase.example.com/callback"]
    )
    owners: tuple[Annotated[str, AfterValidator(_object_id)], ...] = Field((), examples=["<object id>"])
    secret_description: str = Field("NocoBase mail", examples=["'NocoBase mail'"])
    secret_lifetime_days: int = Field(180, examples=[180])
    rotate_every_days: int = Field(90, examples=[90])
    retire_after_days: int = Field(7, examples=[7])
    rotate_requested_at: AwareDatetime | None = Field(None, examples=["2027-01-31T12:00:00Z"])
    compromised_before: AwareDatetime | None = Field(None, examples=["2027-01-31T12:00:00Z"])
    consent: Consent = Field(Consent.USER, examples=[Consent.TENANT])

    @property
    def rotation_policy(self) -> Policy:
        """How long secrets live, and when they are renewed."""
        return Policy(
            description=self.secret_description,
            lifetime_days=self.secret_lifetime_days,
            rotate_every_days=self.rotate_every_days,
            retire_after_days=self.retire_after_days,
            requested=self.rotate_requested_at,
            compromised=self.compromised_before,
        )

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

    @field_validator("nocobase_url")
    @classmethod
    def _check_nocobase_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _refusal("NocoBase's address as users see it in the browser, without /admin, is needed.")
        if parts.scheme == "http" and not rules.is_loopback(parts.hostname):
            raise _refusal("Only https is allowed outside this machine: the client secret travels to this address.")
        if parts.username or parts.password:
            raise _refusal("The address must not hold an account or password.")
        if parts.query or parts.fragment:
            raise _refusal("The address must not have a query string or a fragment.")
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))

    @field_validator("nocobase_app")
    @classmethod
    def _check_nocobase_app(cls, app: str | None) -> str | None:
        if app and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", app):
            raise _refusal("A sub-application's name has letters, digits, '-' and '_' only.")
        return app or None

    @field_validator("application_name")
    @classmethod
    def _check_application_name(cls, name: str, info: ValidationInfo) -> str:
        _raise_if(rules.refuses_name(name, _audience(info)))
        return name

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, scopes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        repeated = sorted({scope for scope in scopes if scopes.count(scope) > 1})
        if repeated:
            raise _refusal(f"Named more than once: {', '.join(repeated)}.")
        if not scopes:
            raise _refusal("At least one scope is needed.")
        if len(scopes) > _audience(info).most_scopes:
            raise _refusal(f"{len(scopes)} scopes; {_audience(info)} allows {_audience(info).most_scopes}.")
        return scopes

    @field_validator("redirect_uris")
    @classmethod
    def _check_redirect_uris(cls, uris: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not uris and "nocobase_url" in info.data:
            uris = (redirect_uri(info.data["nocobase_url"], info.data.get("nocobase_app")),)
        reasons = [(uri, rules.refuses_redirect_uri(uri, _audience(info))) for uri in uris]
        _raise_if(" ".join(f"{uri}: {reason}" for uri, reason in reasons if reason))
        return uris

    @field_validator("secret_description")
    @classmethod
    def _check_secret_description(cls, description: str) -> str:
        if not description.strip():
            raise _refusal("The description is empty; in Entra it tells people what the secret is for.")
        return description

    @field_validator("secret_lifetime_days")
    @classmethod
    def _check_secret_lifetime(cls, days: int) -> int:
        _raise_if(rules.refuses_secret_lifetime(days))
        return days

    @field_validator("retire_after_days")
    @classmethod
    def _check_rotation(cls, days: int, info: ValidationInfo) -> int:
        # Judged at the last of the three; a lifetime that is itself wrong is not judged twice.
        if "secret_lifetime_days" in info.data and "rotate_every_days" in info.data:
            lifetime, every = info.data["secret_lifetime_days"], info.data["rotate_every_days"]
            _raise_if(refuses_policy(lifetime, every, days))
        return days


class StackSettings(NamedTuple):
    """Everything one run needs to know: the stack's settings and the login to NocoBase."""

    settings: Settings
    login: NocoBaseLogin


def load(config: Mapping[str, str], secret_keys: Collection[str] = ()) -> StackSettings:
    """Settings and login from the stack's configuration `config` and the environment.

    config: the keys without the project's name, the values as the engine gives them (lists as JSON). secret_keys: which
    of them are stored encrypted. Raises SettingsError with everything that is wrong, not only the first.
    """
    problems: list[Problem] = []
    own: dict[str, Any] = {key: value for key, value in config.items() if key != API_KEY}
    settings = None
    try:
        settings = Settings(**own)
    except ValidationError as error:
        problems += [_problem(details) for details in error.errors(include_url=False)]
    if config.get(API_KEY) and API_KEY not in secret_keys:
        why = "It is stored in plain text; an API key must be encrypted, or given in the environment only."
        problems.append(Problem(API_KEY, None, why, f"pulumi config set --secret {API_KEY}"))
    login = load_login(config.get(API_KEY))
    if login is None:
        problems.append(missing_login())
    if problems or settings is None or login is None:
        raise SettingsError(problems)
    return StackSettings(settings, login)


def redirect_uri(nocobase_url: str, nocobase_app: str | None = None) -> str:
    """Where Microsoft sends users back to after the sign-in: the email manager's page in NocoBase.

    Source: the email manager's documentation; for sub-applications NocoBase's own routes.
    """
    application = f"/apps/{nocobase_app}" if nocobase_app else ""
    return f"{nocobase_url}{application}/admin/settings/mail/oauth2"


def _audience(info: ValidationInfo) -> Audience:
    """The audience by which other settings are judged: the one given, or the default if that one is itself wrong."""
    audience: Audience = info.data.get("audience", Settings.model_fields["audience"].default)
    return audience


def _refusal(reason: str, suggestion: str | None = None) -> PydanticCustomError:
    # The reason is passed apart because braces in a message would be taken for placeholders.
    return PydanticCustomError("refused", "{reason}", {"reason": reason, "suggestion": suggestion})


def _raise_if(reason: str | None) -> None:
    if reason:
        raise _refusal(reason)


def _field(key: str) -> FieldInfo | None:
    return next((field for field in Settings.model_fields.values() if field.alias == key), None)


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _problem(details: ErrorDetails) -> Problem:
    key, *index = details["loc"]
    path = str(key) + "".join(f"[{position}]" for position in index)
    field = _field(str(key))
    if field is None:
        close = _nearest(str(key), (known.alias or "" for known in Settings.model_fields.values()))
        hint = f" Did you mean {close[0]}?" if close else ""
        return Problem(path, None, f"There is no such setting.{hint}", f"pulumi config rm {key}")
    example = details.get("ctx", {}).get("suggestion") or (field.examples or [""])[0]
    target = f"--path '{path if index else f'{key}[0]'}'" if _is_list(field) else path
    remedy = f"pulumi config set {target} {example}"
    if details["type"] == "missing":
        return Problem(path, None, "It is not set.", remedy)
    why = "A list is needed." if details["type"] == "tuple_type" else details["msg"]
    value = json.dumps(details["input"], default=str, ensure_ascii=False)
    return Problem(path, None if "@" in value else value, why, remedy)  # user:password@host must not be repeated


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that come closest to `name`, best first; empty if none is close."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=3)
    return [by_lower_case[match] for match in close]
