"""What a job needs to sign in: checked before a step begins, and handed to the state's backend.

Pulumi's Azure Blob backend and its secrets in Key Vault do not read the azuread provider's variables (pulumi#13476,
#16526), but AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE, a file.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from provisioning.entra.sign_in_settings import Method, SignInSettings, sign_in_settings
from provisioning.errors import SignInUnusable

FEDERATED = (Method.TOKEN, Method.REQUESTED_TOKEN, Method.AZURE_DEVOPS)
BACKEND = ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN")
TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE"
BLOB = "azblob://"
KEY_VAULT = re.compile(r"^secretsprovider:\s*[\"']?azurekeyvault://", re.MULTILINE)


def what_is_missing(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Why a job that signs in by a token cannot begin, a sentence for each variable; nothing on a workstation.

    A workstation is whatever does not set ARM_USE_OIDC. Raises SignInUnusable for variables that contradict each other.
    """
    settings = sign_in_settings(environment)
    if not settings.is_on("useOidc"):
        return []
    missing = [f"{name} is not set." for name in ("ARM_TENANT_ID", "ARM_CLIENT_ID") if not environment.get(name)]
    if not missing and settings.method not in FEDERATED:
        missing.append(
            "The job has no token to sign in to Entra ID with: on GitHub it needs `permissions: id-token: write`, on "
            "GitLab `id_tokens`, on Azure DevOps SYSTEM_ACCESSTOKEN and the id of a service connection."
        )
    if not any(environment.get(name) for name in BACKEND):
        missing.append(f"Neither {' nor '.join(BACKEND)} is set, so the state would be lost with this machine.")
    return missing


@contextmanager
def backend(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variables of `environment`, and where the state or its key is on Azure, those with a fresh token.

    The token is in a file that only this account reads, and that is gone afterwards. Raises SignInUnusable and
    NoPipelineToken.
    """
    given = dict(environment)
    settings = sign_in_settings(environment)
    if environment.get(TOKEN_FILE) or not _is_on_azure(environment) or not _is_federated(settings):
        yield given
        return
    # A third of a second of imports (azure-identity).
    from provisioning.entra.sign_in import federated_token  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "token")
        file.touch(mode=0o600)
        file.write_text(federated_token(settings.method, settings)(), encoding="utf-8")
        given |= {"AZURE_CLIENT_ID": settings.client_id, "AZURE_TENANT_ID": settings.tenant, TOKEN_FILE: str(file)}
        yield given


def _is_federated(settings: SignInSettings) -> bool:
    try:
        return settings.method in FEDERATED
    except SignInUnusable:
        return False


def _is_on_azure(environment: Mapping[str, str]) -> bool:
    if environment.get("PULUMI_BACKEND_URL", "").startswith(BLOB):
        return True
    # The sandbox's own is a link that leads nowhere without the sandbox.
    files = [file for file in Path().glob("Pulumi.*.yaml") if file.exists()]
    return any(KEY_VAULT.search(file.read_text(encoding="utf-8")) for file in files)
