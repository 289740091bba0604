"""Who signs in to Entra ID, by the azuread provider's settings: the same sources in the same order. No I/O but files.

Each setting is the stack's `azuread:<key>`, else an environment variable. Source: internal/provider/provider.go and
sdk/auth/auth.go of terraform-provider-azuread (commit f0169e0), which azuread 6.10 is made of.

A process signs in for one stack. `use_configuration` says for which; until then only the environment counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from provisioning.entra import error_codes
from provisioning.errors import DirectoryFailure, SignInRejected, SignInUnusable

NAMESPACE = "azuread"

TENANT = f"{NAMESPACE}:tenantId"
"""The configuration key that names the stack's tenant; it wins over ARM_TENANT_ID."""

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "tenantId": ("ARM_TENANT_ID",),
    "clientId": ("ARM_CLIENT_ID",),
    "clientIdFilePath": ("ARM_CLIENT_ID_FILE_PATH",),
    "clientCertificate": ("ARM_CLIENT_CERTIFICATE",),
    "clientCertificatePath": ("ARM_CLIENT_CERTIFICATE_PATH",),
    "clientCertificatePassword": ("ARM_CLIENT_CERTIFICATE_PASSWORD",),
    "clientSecret": ("ARM_CLIENT_SECRET",),
    "clientSecretFilePath": ("ARM_CLIENT_SECRET_FILE_PATH",),
    "useOidc": ("ARM_USE_OIDC",),
    "useAksWorkloadIdentity": ("ARM_USE_AKS_WORKLOAD_IDENTITY",),
    "oidcToken": ("ARM_OIDC_TOKEN",),
    "oidcTokenFilePath": ("ARM_OIDC_TOKEN_FILE_PATH",),
    "oidcRequestUrl": ("ARM_OIDC_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_OIDCREQUESTURI"),
    "oidcRequestToken": ("ARM_OIDC_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_ACCESSTOKEN"),
    "adoPipelineServiceConnectionId": (
        "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
        "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
    ),
    "useMsi": ("ARM_USE_MSI",),
    "msiEndpoint": ("ARM_MSI_ENDPOINT",),
    "useCli": ("ARM_USE_CLI",),
    "environment": ("ARM_ENVIRONMENT",),
    "metadataHost": ("ARM_METADATA_HOSTNAME",),
}
"""The provider's configuration keys, and the environment variables behind each, the first that is set winning."""

PROVIDER_KEYS = tuple(f"{NAMESPACE}:{key}" for key in VARIABLES)
"""The same keys, whole."""

ON = ("1", "t", "true")
OFF = ("0", "f", "false")
"""How Go's strconv.ParseBool, which reads the switches, writes them; in small letters."""

PUBLIC_CLOUD = ("", "global", "public")

OTHER_CLOUDS = ("management.usgovcloudapi.net", "management.chinacloudapi.cn")
"""Metadata hosts of Microsoft's other clouds, where NocoBase's users cannot sign in."""


class Method(Enum):
    """A way to sign in, in the order in which the provider looks for what it takes."""

    CERTIFICATE = "a client certificate"
    SECRET = "a client secret"
    TOKEN = "a federated token"
    AZURE_DEVOPS = "a token of an Azure DevOps service connection"
    REQUESTED_TOKEN = "a token that the pipeline is asked for"
    MANAGED_IDENTITY = "a managed identity"
    AZURE_CLI = "the Azure CLI"


@dataclass(frozen=True)
class Setting:
    """One setting: its value, and where it stands, for errors."""

    value: str = field(repr=False)
    origin: str


_configuration: dict[str, Setting] = {}
"""What `use_configuration` and `use_tenant` were given last."""


def use_configuration(configuration: Mapping[str, object]) -> None:
    """Sign in as this stack from now on. configuration: its values by whole keys; those of the provider count."""
    _configuration.clear()
    _configuration.update(
        {
            key: Setting(_text(value), f"{key} in the stack's configuration")
            for key, value in configuration.items()
            if key.startswith(f"{NAMESPACE}:")
        }
    )


def _text(value: object) -> str:
    """A value as the provider reads it; the engine passes on true and false as such."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def use_tenant(tenant: str | None) -> None:
    """Sign in to this tenant, where the stack was deployed, from now on; None leaves it as it is.

    A setting that names this very tenant stays the one that is told.
    """
    if tenant and sign_in_settings()["tenantId"].lower() != tenant.lower():
        _configuration[TENANT] = Setting(tenant, "the stack's state")


def names_a_sign_in(configuration: Mapping[str, object]) -> bool:
    """Whether a stack's configuration says more of the sign-in than its tenant."""
    return any(key.startswith(f"{NAMESPACE}:") and key != TENANT for key in configuration)


@dataclass(frozen=True)
class SignInSettings:
    """The provider's settings of this process. Only those that are set are there."""

    settings: Mapping[str, Setting]

    def __getitem__(self, key: str) -> str:
        """The value of a setting, empty where it is not set."""
        found = self.settings.get(key)
        return found.value if found else ""

    def origin(self, key: str) -> str:
        """Where a setting stands; where it would stand if it is not set."""
        found = self.settings.get(key)
        return found.origin if found else VARIABLES[key][0]

    def by_origin(self, remedy: str) -> str:
        """A remedy that names the provider's variables, with the places where the settings are instead."""
        for key, (variable, *_) in VARIABLES.items():
            remedy = re.sub(rf"\b{variable}\b", lambda _, key=key: self.origin(key), remedy)  # type: ignore[misc]
        return remedy

    def is_named(self, *keys: str) -> bool:
        """Whether any of these settings is set."""
        return any(self[key] for key in keys)

    @property
    def tenant(self) -> str:
        """The tenant to sign in to, empty where nothing names one. Raises SignInUnusable where two are named."""
        named, workload = self["tenantId"].strip(), os.environ.get("AZURE_TENANT_ID", "")
        if not self.is_on("useAksWorkloadIdentity") or not workload:
            return named
        if named and named != workload:
            raise SignInUnusable(
                f"{self.origin('tenantId')} names the tenant {named}, and AKS workload identity (AZURE_TENANT_ID) the "
                f"tenant {workload}. Remove one of the two."
            )
        return workload

    @property
    def client_id(self) -> str:
        """The client ID to sign in as. Raises SignInUnusable."""
        return self._value_or_file("clientId", "clientIdFilePath")

    @property
    def client_secret(self) -> str:
        """Its client secret. Raises SignInUnusable."""
        return self._value_or_file("clientSecret", "clientSecretFilePath")

    @property
    def token(self) -> str:
        """A token that was handed to this process. Read again at each call, since its file is renewed."""
        return self._value_or_file("oidcToken", "oidcTokenFilePath")

    @property
    def method(self) -> Method:
        """How the provider signs in. Raises SignInUnusable where no way is left, or the cloud is not the public one."""
        self._reject_other_clouds()
        client = self.tenant and self.client_id
        asks = client and self["oidcRequestUrl"].strip() and self["oidcRequestToken"].strip()
        federated = self.is_on("useOidc") or self.is_on("useAksWorkloadIdentity")
        if client and (self["clientCertificate"] or self["clientCertificatePath"].strip()):
            return Method.CERTIFICATE
        if client and self.client_secret:
            return Method.SECRET
        if federated and client and self.token:
            return Method.TOKEN
        if federated and asks and self["adoPipelineServiceConnectionId"].strip():
            return Method.AZURE_DEVOPS
        if federated and asks:
            return Method.REQUESTED_TOKEN
        if self.is_on("useMsi"):
            self._reject_other_endpoint()
            return Method.MANAGED_IDENTITY
        if self.is_on("useCli", default=True):
            return Method.AZURE_CLI
        raise SignInUnusable(
            f"{self.origin('useCli')} turns the Azure CLI off, and nothing else to sign in with is complete. Set a "
            "client ID with a secret, a certificate or a federated token, as the azuread provider reads them."
        )

    def is_on(self, key: str, default: bool = False) -> bool:
        """Whether a switch is on. Raises SignInUnusable for what is neither on nor off."""
        value = self[key].strip().lower()
        if value not in (*ON, *OFF, ""):
            raise SignInUnusable(f"{self.origin(key)} is {value!r}; the azuread provider takes true or false.")
        return value in ON if value else default

    def _value_or_file(self, key: str, file_key: str) -> str:
        value, path = self[key].strip(), self[file_key]
        if not path:
            return value
        try:
            held = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SignInUnusable(f"{path}, which {self.origin(file_key)} names, cannot be read ({why}).") from None
        if value and value != held:
            raise SignInUnusable(
                f"{self.origin(key)} and the file that {self.origin(file_key)} names differ. Remove one of the two."
            )
        return held

    def _reject_other_endpoint(self) -> None:
        endpoint = self["msiEndpoint"]
        if endpoint and endpoint != os.environ.get("IDENTITY_ENDPOINT"):
            raise SignInUnusable(
                f"{self.origin('msiEndpoint')} names an endpoint of its own for the managed identity, which this "
                "program's own reads cannot use. Remove it, or sign in in another way."
            )

    def _reject_other_clouds(self) -> None:
        cloud, host = self["environment"].strip().lower(), self["metadataHost"].strip().lower()
        key, named = ("environment", cloud) if cloud not in PUBLIC_CLOUD and not host else ("metadataHost", host)
        if key == "environment" or host.partition(":")[0] in OTHER_CLOUDS:
            raise SignInUnusable(
                f"{self.origin(key)} names the cloud {named!r}. This program knows Microsoft's public cloud only: "
                "NocoBase signs its users in there. Unset it, and sign in to a tenant of the public cloud."
            )


def sign_in_settings(environment: Mapping[str, str] = os.environ) -> SignInSettings:
    """The provider's settings of this process as they are now."""
    found: dict[str, Setting] = {}
    for key, variables in VARIABLES.items():
        whole = f"{NAMESPACE}:{key}"
        named = next((name for name in variables if environment.get(name)), None)
        if (configured := _configuration.get(whole)) and configured.value:
            found[key] = configured
        elif named is not None:
            found[key] = Setting(environment[named], named)
    return SignInSettings(found)


UNKNOWN_TENANT = ("authority configuration", "invalid_tenant")
"""How azure-identity says that the tenant's metadata cannot be had."""

NO_ANSWER = (
    "no such host",
    "dial tcp",
    "connection refused",
    "timeout",
    "timed out",
    "deadline exceeded",
    "x509",
    "EOF",
)
"""How the provider says that there was no answer that could be trusted."""

SIGN_IN = "Sign in: `az login --tenant <tenant id>`, or the ARM_* variables of the azuread provider."


def rejected(text: str) -> SignInRejected:
    """The error for a sign-in that failed with this text; only a code in it is repeated. It may hold a secret."""
    settings = sign_in_settings()
    tenant = f"tenant {settings['tenantId']}, which {settings.origin('tenantId')} names" if settings["tenantId"] else ""
    failure = DirectoryFailure.SIGN_IN
    found = error_codes.reason(text, deployer=True)
    if found is not None:
        reason, remedy = found
    elif any(words in text for words in UNKNOWN_TENANT):
        reason, remedy = "there is no such tenant", f"Correct {settings.origin('tenantId')}."
    elif any(words in text for words in NO_ANSWER):
        failure = DirectoryFailure.NO_ANSWER
        reason, remedy = (
            "Entra ID did not answer",
            "Look whether this machine reaches it: `python -m provisioning doctor --network-only`.",
        )
    else:
        reason, remedy = "nobody is signed in", SIGN_IN
    where, remedy = f" ({tenant})" if tenant else "", settings.by_origin(remedy or SIGN_IN)
    return SignInRejected(
        f"The sign-in to Entra ID{where} failed: {reason}. {remedy} Nothing was changed.", reason, failure, remedy
    )
