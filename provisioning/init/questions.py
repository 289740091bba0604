"""The questions of `init`, which answers are valid, and the settings they become. Pure; knows no terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from provisioning.addresses import is_loopback
from provisioning.entra.client_secret_plan import Policy
from provisioning.entra.rules import Audience
from provisioning.entra.scopes import SCOPE_IDS
from provisioning.foreign import GUID
from provisioning.program.settings import Settings, default_scopes
from provisioning.program.validation import validate

STACK = re.compile(r"(?:[A-Za-z0-9_.-]+/){0,2}[A-Za-z0-9_.-]{1,100}")
SANDBOX = "dev"
"""The stack whose Entra ID and NocoBase run on this machine."""

DOMAIN = re.compile(r"(?=.{4,253}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
NO_TENANTS = ("common", "organizations", "consumers")
"""Endpoints of Entra ID that are not a tenant."""


class State(StrEnum):
    """Where Pulumi keeps the state of a stack."""

    CLOUD = "cloud"
    AZURE = "azure"
    S3 = "s3"
    LOCAL = "local"


SCHEMES = {"https": State.CLOUD, "azblob": State.AZURE, "s3": State.S3, "file": State.LOCAL}
SHORT = {State.CLOUD: "https://api.pulumi.com", State.LOCAL: "file://~"}
"""Kinds of state that need no address."""

PASSPHRASE = "passphrase"
VAULT = "azurekeyvault"
PROVIDERS = ("default", PASSPHRASE, VAULT, "awskms", "gcpkms", "hashivault")


@dataclass(frozen=True)
class Prompt:
    """What a person is asked.

    key: of the setting that the answer becomes. flag: its option. explained: what is said before the question.
    choices: value → meaning; one with a `<` is a pattern. required: for a new stack.
    """

    key: str
    flag: str
    text: str
    explained: str
    choices: Mapping[str, str] = field(default_factory=dict)
    required: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing but the choices is possible."""
        return bool(self.choices) and not any("<" in value for value in self.choices)

    def chosen(self, answer: str) -> str:
        """The choice that an answer names by its number, or in other capitals; the answer itself if it names none."""
        numbered = {str(number): value for number, value in enumerate(self.choices, 1)} if self.is_closed else {}
        by_name = {value.casefold(): value for value in self.choices}
        return numbered.get(answer) or by_name.get(answer.casefold(), answer)


DURATIONS = ("secretLifetimeDays", "rotateEveryDays")

STACK_NAME = Prompt("stack", "--stack", "Stack", "The name of the environment, such as test or prod.")
STATE = Prompt(
    "state",
    "--state",
    "State",
    "Where Pulumi keeps the state of its stacks.",
    {
        "cloud": "Pulumi Cloud",
        "azblob://<container>?storage_account=<account>": "Azure Blob Storage",
        "s3://<bucket>": "Amazon S3",
        "file://<folder>": "a folder",
        "local": "your home folder on this machine",
    },
)
SECRETS_PROVIDER = Prompt(
    "secretsProvider",
    "--secrets-provider",
    "Secrets provider",
    "What encrypts the secrets in the state.",
    {
        "default": "Pulumi Cloud, for a state there",
        PASSPHRASE: "a passphrase from the environment",
        "azurekeyvault://<vault>.vault.azure.net/keys/<key>": "Azure Key Vault",
        "awskms://<key>?region=<region>": "AWS KMS",
        "gcpkms://<key>": "Google Cloud KMS",
        "hashivault://<key>": "HashiCorp Vault",
    },
)
TENANT = Prompt(
    "tenantId", "--tenant", "Tenant", "The directory in Entra ID: its ID, or a domain of it.", required=True
)
ADDRESS = Prompt(
    "nocobaseUrl", "--nocobase-url", "NocoBase's address", "As its users see it, without /admin.", required=True
)
SUB_APPLICATION = Prompt(
    "nocobaseApp", "--nocobase-app", "Sub-application", "Its name in NocoBase; empty for the main application."
)
NAME = Prompt(
    "applicationName", "--application-name", "Application's name", "As administrators and users see it in Entra ID."
)
PROMPTS = (
    TENANT,
    ADDRESS,
    SUB_APPLICATION,
    NAME,
    Prompt(
        "audience",
        "--audience",
        "Audience",
        "Whose accounts may sign in.",
        {
            Audience.ANY_TENANT_AND_PERSONAL: "of any organization, and personal ones",
            Audience.ANY_TENANT: "of any organization",
            Audience.ONE_TENANT: "of this tenant only; NocoBase 2 does not serve it",
        },
    ),
    Prompt(
        "scopes",
        "--scope",
        "Scopes",
        f"Delegated permissions of Microsoft Graph, separated by commas: {', '.join(sorted(SCOPE_IDS))}.",
    ),
    Prompt("secretLifetimeDays", "--secret-lifetime-days", "Lifetime", "Days that a client secret is valid, 1 to 730."),
    Prompt("rotateEveryDays", "--rotate-every-days", "Rotation", "Days after which a new client secret is issued."),
)

Answers = Mapping[str, str | Sequence[str]]


def missing(stack: str | None, exists: bool, answers: Answers) -> list[str]:
    """The flags that are required if `init` cannot ask; an existing stack requires only its name."""
    flags = [] if stack else ["--stack"]
    return flags if exists else [*flags, *(item.flag for item in PROMPTS if item.required and item.key not in answers)]


def why_invalid_stack(name: str) -> str | None:
    """Why this is not a valid name of a new stack."""
    if name.rpartition("/")[2] == SANDBOX:
        return f"{SANDBOX} is the sandbox's stack. Choose another name, such as prod."
    return None if STACK.fullmatch(name) else "A stack's name may contain only letters, digits, '-', '_' and '.'."


def why_invalid_tenant(tenant: str) -> str | None:
    """Why this cannot name a tenant; whether the tenant exists, only Entra ID knows."""
    if tenant in NO_TENANTS:
        return f"{tenant} is not a tenant. The application is registered in one tenant, whatever its audience."
    if re.fullmatch(GUID, tenant) or DOMAIN.fullmatch(tenant):
        return None
    return "A tenant is named by its ID, like 1b4e28ba-2fa1-11d2-883f-0016d3cca427, or by a domain, like example.com."


def why_invalid_tenant_id(tenant: str) -> str | None:
    """Why azuread does not accept this: it needs the tenant's ID, not a domain."""
    if re.fullmatch(GUID, tenant):
        return None
    return f"The ID of the tenant is required, because {tenant} was not looked up."


def why_invalid_setting(config: Mapping[str, str], key: str) -> str | None:
    """Why the answer for the setting `key` in `config` is not valid; answers to later questions are ignored."""
    order = [prompt.key for prompt in PROMPTS]
    asked = {
        name: value for name, value in config.items() if name not in order or order.index(name) <= order.index(key)
    }
    # The three durations are validated together: a lifetime with the shortest rotation that there is.
    watched = {"secretLifetimeDays", "rotateEveryDays", "retireAfterDays"} if key in DURATIONS else {key}
    if key == "secretLifetimeDays":
        retire = asked.get("retireAfterDays") or str(Policy("").retire_after_days)
        asked["rotateEveryDays"] = str(int(retire) + 1) if retire.isdecimal() else "1"
    problems = validate(asked)[1]
    return next((problem.why for problem in problems if problem.key.partition("[")[0] in watched), None)


def completed_address(answer: str) -> str:
    """An address as it was typed, with the scheme that it lacks: http for this machine, https for any other."""
    if not answer or "://" in answer:
        return answer
    host = urlsplit(f"//{answer}").hostname or ""
    return f"{'http' if is_loopback(host) else 'https'}://{answer}"


def usual_name(stack: str) -> str:
    """The name in Entra ID that is proposed for a new stack's application: it says the environment."""
    return f"{default(NAME.key)} ({stack.rpartition('/')[2]})"


def state_url(answer: str) -> str | None:
    """The backend's address for an answer, which may be a kind that needs no address; None if it is neither."""
    if answer in SHORT:
        return SHORT[State(answer)]
    parts = urlsplit(answer)
    return answer if parts.scheme in SCHEMES and (parts.netloc or parts.path) else None


def kind_of_state(url: str) -> State | None:
    """Which kind of state is at an address."""
    return SCHEMES.get(urlsplit(url).scheme)


def usual_secrets_provider(url: str) -> str | None:
    """What encrypts secrets in such a state by default; None if one has to be named."""
    return {State.CLOUD: "default", State.AZURE: None}.get(kind_of_state(url) or State.LOCAL, PASSPHRASE)


def why_invalid_secrets_provider(provider: str, environment: Mapping[str, str]) -> str | None:
    """Why `provider` cannot encrypt secrets here. The passphrase comes only from the environment."""
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
    """After how many days a secret of this lifetime is rotated by default: rotateEveryDays, or half of the lifetime."""
    usual, retire = Policy("").rotate_every_days, Policy("").retire_after_days
    days = int(lifetime) if lifetime.isdecimal() else 0
    return usual if usual + retire < days else max(days // 2, 1)


def default(key: str, config_file: str = "") -> str:
    """The default of a setting, as a person writes it. config_file: of a NocoBase 3, empty for a NocoBase 2."""
    if key == "scopes":
        return ", ".join(default_scopes([config_file or None]))
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
