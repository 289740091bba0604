"""The settings of the deployer: the stack's configuration as one typed, validated, frozen object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any
from uuid import UUID

import pulumi
from pulumi.runtime import config
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from deployer import federation
from deployer.federation import Trust

OWN_APPLICATIONS = "Application.ReadWrite.OwnedBy"
"""To create applications and change those that it owns: all that a deployment needs."""
CONSENT = "DelegatedPermissionGrant.ReadWrite.All"
"""To consent for the whole tenant, to any application. That is far more than mail needs, so it has to be set."""


class SettingsError(Exception):
    """One or more settings are missing or not allowed; the message names all of them."""


def _https(address: str) -> str:
    if address and not address.startswith("https://"):
        raise ValueError("it must begin with https://")
    return address


def _without_slash(address: str) -> str:
    return address.rstrip("/")


def _path(text: str) -> str:
    if not re.fullmatch(r"[^\s/:]+(/[^\s/:]+)+", text):
        raise ValueError("it must be two names or more with a slash between, such as contoso/mail, no spaces or colons")
    return text


def _azure_dev_ops_path(text: str) -> str:
    try:
        return _path(text)
    except ValueError as error:
        # It is not documented how a subject writes a space.
        raise ValueError(
            f"{error}; where the project's name has any, copy issuer and subject of each service connection "
            "into otherTrusts instead"
        ) from None


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Path = Annotated[str, AfterValidator(_path)]
Issuer = Annotated[str, AfterValidator(_https)]
"""Not normalised, since Entra ID compares it exactly; those of AKS end in a slash."""
Address = Annotated[Issuer, AfterValidator(_without_slash)]
"""The address of a site that issues tokens; a slash at the end is dropped."""
ObjectId = Annotated[str, AfterValidator(lambda text: str(UUID(text)))]


class OtherTrust(BaseModel):
    """A token that may sign in, with its exact values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$")]
    issuer: Issuer = Field(min_length=1, max_length=600)
    subject: str = Field(min_length=1, max_length=600)
    audience: str = Field(federation.AUDIENCE, min_length=1, max_length=600)


class Settings(BaseModel):
    """The settings of the deployer. The field names in camelCase are the configuration keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    application_name: str = Field("NocoBase mail deployer", min_length=1, max_length=120)
    environments: tuple[Name, ...] = ("test", "prod")
    previews: bool = True
    github_repository: Path | None = None
    github_issuer: Address = "https://token.actions.githubusercontent.com"
    gitlab_project: Path | None = None
    gitlab_branches: tuple[str, ...] = ("main",)
    gitlab_issuer: Address = "https://gitlab.com"
    azure_dev_ops_project: Annotated[str, AfterValidator(_azure_dev_ops_path)] | None = None
    azure_dev_ops_issuer: Issuer | None = None
    azure_dev_ops_connections: str = "nocobase-outlook-{environment}"
    other_trusts: tuple[OtherTrust, ...] = ()
    tenant_consent: bool = False
    mail_applications: tuple[ObjectId, ...] = ()
    owners: tuple[ObjectId, ...] = ()
    former_owners: tuple[ObjectId, ...] = ()

    @property
    def permissions(self) -> tuple[str, ...]:
        """The application permissions of Microsoft Graph that the deployer gets."""
        return (OWN_APPLICATIONS, CONSENT) if self.tenant_consent else (OWN_APPLICATIONS,)

    @cached_property
    def trusts(self) -> tuple[Trust, ...]:
        """Every token that may sign in."""
        found: list[Trust] = []
        if self.github_repository:
            beside = ("-upkeep", "-preview") if self.previews else ("-upkeep",)
            names = [f"{name}{suffix}" for suffix in ("", *beside) for name in self.environments]
            found += [federation.github(self.github_repository, self.github_issuer, name) for name in names]
        if self.gitlab_project:
            branches = self.gitlab_branches
            found += [federation.gitlab(self.gitlab_project, self.gitlab_issuer, branch) for branch in branches]
        if self.azure_dev_ops_project and self.azure_dev_ops_issuer:
            connections = [self.azure_dev_ops_connections.replace("{environment}", name) for name in self.environments]
            found += [
                federation.azure_devops(self.azure_dev_ops_project, self.azure_dev_ops_issuer, name)
                for name in dict.fromkeys(connections)
            ]
        found += [Trust(other.name, other.issuer, other.subject, other.audience) for other in self.other_trusts]
        return tuple(found)

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.azure_dev_ops_project and not self.azure_dev_ops_issuer:
            raise ValueError("azureDevOpsIssuer is required with azureDevOpsProject; the service connection shows it.")
        if both := sorted(set(self.owners) & set(self.former_owners)):
            raise ValueError(f"owners and formerOwners both name {', '.join(both)}; take each out of one of the two.")
        if reason := federation.why_invalid_trusts(self.trusts):
            raise ValueError(reason)
        return self


def configuration() -> tuple[dict[str, str], str]:
    """The stack's own configuration, keys without the project's name, and that name."""
    project = pulumi.get_project()
    values = {**config.get_config_env(), **config.CONFIG.get()}
    prefix = f"{project}:"
    return {key.removeprefix(prefix): str(value) for key, value in values.items() if key.startswith(prefix)}, project


def load(values: Mapping[str, str], project: str = "") -> Settings:
    """The settings from the stack's configuration: every value a string, lists as JSON, unset ones empty.

    Raises SettingsError with everything that is wrong.
    """
    given = {key: _parsed(value) for key, value in values.items() if value != ""}
    try:
        return Settings(**given)
    except ValidationError as error:
        listed = "\n".join(f"  {_sentence(details)}" for details in error.errors(include_url=False))
        raise SettingsError(
            f"Settings of {project or 'the deployer'} are wrong; nothing was changed.\n{listed}\n"
            "Correct each with `pulumi config set`; bootstrap/README.md lists the settings."
        ) from None


def _parsed(value: str) -> Any:
    """A JSON list as a list; any other value unchanged."""
    if not value.startswith("["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _sentence(details: Any) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in details["loc"]).removeprefix(".")
    said = str(details["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
