"""What `init` asks: the questions of a stack, which answers are taken, what they become. Pure; knows no terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from provisioning.entra.client_secret_plan import Policy
from provisioning.program.settings import Settings, validate

STACK = re.compile(r"(?:[A-Za-z0-9_.-]+/){0,2}[A-Za-z0-9_.-]{1,100}")
GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DOMAIN = re.compile(r"(?=.{4,253}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
NO_TENANTS = ("common", "organizations", "consumers")
"""Endpoints of Entra ID that are no tenant."""


class State(StrEnum):
    """Where Pulumi keeps what it knows of a stack."""

    CLOUD = "cloud"
    AZURE = "azure"
    S3 = "s3"
    LOCAL = "local"


SCHEMES = {"https": State.CLOUD, "azblob": State.AZURE, "s3": State.S3, "file": State.LOCAL}
SHORT = {State.CLOUD: "https://api.pulumi.com", State.LOCAL: "file://~"}
"""Kinds of state that need no further word."""

PASSPHRASE = "passphrase"
VAULT = "azurekeyvault"
PROVIDERS = ("default", PASSPHRASE, VAULT, "awskms", "gcpkms", "hashivault")


@dataclass(frozen=True)
class Question:
    """One question. key: of the setting that the answer becomes. flag: its option. needed: a new stack must have it."""

    key: str
    flag: str
    text: str
    needed: bool = False


TENANT = Question("tenantId", "--tenant", "Tenant (its ID, or a domain of it)", needed=True)
QUESTIONS = (
    TENANT,
    Question("nocobaseUrl", "--nocobase-url", "NocoBase's address as its users see it, without /admin", needed=True),
    Question("nocobaseApp", "--nocobase-app", "Sub-application of NocoBase (empty: the main one)"),
    Question("audience", "--audience", "Whose accounts may sign in"),
    Question("scopes", "--scope", "Scopes, separated by commas"),
    Question("secretLifetimeDays", "--secret-lifetime-days", "Days that a client secret is valid"),
    Question("rotateEveryDays", "--rotate-every-days", "Days after which a new one is issued"),
)

Answers = Mapping[str, str | Sequence[str]]


def missing(stack: str | None, exists: bool, answers: Answers) -> list[str]:
    """The flags without which nobody can be spared a question: none for a stack that exists."""
    flags = [] if stack else ["--stack"]
    return flags if exists else [*flags, *(item.flag for item in QUESTIONS if item.needed and item.key not in answers)]


def why_invalid_stack(name: str) -> str | None:
    """Why a stack cannot be called so."""
    return None if STACK.fullmatch(name) else "A stack's name has letters, digits, '-', '_' and '.' only."


def why_invalid_tenant(tenant: str) -> str | None:
    """Why this names no tenant; whether there is such a one, only Entra ID knows."""
    if tenant in NO_TENANTS:
        return f"{tenant} is no tenant: the application is registered in one, whoever may sign in."
    if GUID.fullmatch(tenant) or DOMAIN.fullmatch(tenant):
        return None
    return "A tenant is named by its ID, like 1b4e28ba-2fa1-11d2-883f-0016d3cca427, or by a domain, like example.com."


def why_invalid_tenant_id(tenant: str) -> str | None:
    """Why this cannot be written down: a domain is good enough to find a tenant by, but not for azuread."""
    return None if GUID.fullmatch(tenant) else f"The ID of the tenant is needed, because {tenant} was not looked up."


def why_invalid_setting(config: Mapping[str, str], key: str) -> str | None:
    """Why the answer that the setting `key` has in `config` is refused; later questions are not judged."""
    order = [question.key for question in QUESTIONS]
    asked = {
        name: value for name, value in config.items() if name not in order or order.index(name) <= order.index(key)
    }
    # The three durations are judged together, at the last of them.
    watched = {key, "retireAfterDays"} if key == order[-1] else {key}
    if key == order[-1] or key != "secretLifetimeDays":
        problems = validate(asked)[1]
    else:
        problems = validate({**asked, "rotateEveryDays": "1", "retireAfterDays": "0"})[1]
    return next((problem.why for problem in problems if problem.key.partition("[")[0] in watched), None)


def state_url(answer: str) -> str | None:
    """The backend's address behind an answer, which may be its kind where that says enough; None if it is neither."""
    if answer in SHORT:
        return SHORT[State(answer)]
    parts = urlsplit(answer)
    return answer if parts.scheme in SCHEMES and (parts.netloc or parts.path) else None


def kind_of_state(url: str) -> State | None:
    """Which kind of state is at an address."""
    return SCHEMES.get(urlsplit(url).scheme)


def usual_secrets_provider(url: str) -> str | None:
    """What encrypts secrets in such a state unless another one is named; None where one has to be named."""
    return {State.CLOUD: "default", State.AZURE: None}.get(kind_of_state(url) or State.LOCAL, PASSPHRASE)


def why_invalid_secrets_provider(provider: str, environment: Mapping[str, str]) -> str | None:
    """Why secrets cannot be encrypted by `provider` here. The passphrase comes from the environment only."""
    scheme, _, rest = provider.partition("://")
    if scheme not in PROVIDERS or (scheme not in ("default", PASSPHRASE) and not rest):
        return f"Secrets are encrypted by one of: {', '.join(PROVIDERS)}; the last four with an address (name://…)."
    if scheme == PASSPHRASE and not has_passphrase(environment):
        return (
            "The passphrase comes from the environment only: export PULUMI_CONFIG_PASSPHRASE_FILE=<file> (or "
            "PULUMI_CONFIG_PASSPHRASE), and keep it as long as the stack. An empty one protects nothing."
        )
    return None


def has_passphrase(environment: Mapping[str, str]) -> bool:
    """Whether the environment has a passphrase that is not empty."""
    return bool(environment.get("PULUMI_CONFIG_PASSPHRASE") or environment.get("PULUMI_CONFIG_PASSPHRASE_FILE"))


def usual_rotation(lifetime: str) -> int:
    """After how many days a secret of this lifetime is renewed, unless it is said: the default, or half of the time."""
    usual, retire = Policy("").rotate_every_days, Policy("").retire_after_days
    days = int(lifetime) if lifetime.isdecimal() else 0
    return usual if usual + retire < days else max(days // 2, 1)


def default(key: str) -> str:
    """What a setting is if nothing is said, as a person writes it."""
    field = next((field for field in Settings.model_fields.values() if field.alias == key), None)
    value = None if field is None else field.get_default()
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value) if isinstance(value, (str, int)) else ""


def as_line(value: str) -> str:
    """A configured value, a list as JSON, as a person writes it."""
    return ", ".join(json.loads(value)) if value.startswith("[") else value


def as_items(text: str) -> list[str]:
    """The items of a list, as a person writes it."""
    return [item.strip() for item in text.split(",") if item.strip()]
