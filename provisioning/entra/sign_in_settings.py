"""Who signs in to Entra ID, by the azuread provider's settings: the same sources in the same order. No I/O but files.

Each setting is the stack's `azuread:<key>`, else an environment variable. Source: internal/provider/provider.go and
sdk/auth/auth.go of terraform-provider-azuread (commit f0169e0), which azuread 6.10 is made of.

A process signs in for one stack. `use_configuration` says for which; until then only the environment counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from provisioning.errors import SignInUnusable

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

ON = ("1", "t", "true")
OFF = ("0", "f", "false")
"""How Go's strconv.ParseBool, which reads the switches, writes them; in small letters."""

PUBLIC_CLOUD = ("", "global", "public")


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


_configuration: dict[str, str] = {}
"""What `use_configuration` was given last."""


def use_configuration(configuration: Mapping[str, str]) -> None:
    """Sign in as this stack from now on. configuration: its values by whole keys; those of the provider count."""
    _configuration.clear()
    _configuration.update({key: value for key, value in configuration.items() if key.startswith(f"{NAMESPACE}:")})


def use_tenant(tenant: str | None) -> None:
    """Sign in to this tenant from now on; None leaves it as it is."""
    if tenant:
        _configuration[TENANT] = tenant


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
        """The client id to sign in as. Raises SignInUnusable."""
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
            return Method.MANAGED_IDENTITY
        if self.is_on("useCli", default=True):
            return Method.AZURE_CLI
        raise SignInUnusable(
            f"{self.origin('useCli')} turns the Azure CLI off, and nothing else to sign in with is complete. Set a "
            "client id with a secret, a certificate or a federated token, as the azuread provider reads them."
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

    def _reject_other_clouds(self) -> None:
        cloud = self["environment"].strip().lower()
        if cloud not in PUBLIC_CLOUD and not self["metadataHost"]:
            raise SignInUnusable(
                f"{self.origin('environment')} names the cloud {cloud!r}. This program knows Microsoft's public cloud "
                "only: NocoBase signs its users in there."
            )


def sign_in_settings(environment: Mapping[str, str] = os.environ) -> SignInSettings:
    """The provider's settings of this process as they are now."""
    found: dict[str, Setting] = {}
    for key, variables in VARIABLES.items():
        whole = f"{NAMESPACE}:{key}"
        named = next((name for name in variables if environment.get(name)), None)
        if _configuration.get(whole):
            found[key] = Setting(_configuration[whole], f"{whole} in the stack's configuration")
        elif named is not None:
            found[key] = Setting(environment[named], named)
    return SignInSettings(found)
