"""What a job needs to sign in: checked before a step begins, and handed to the state's backend.

Pulumi's Azure Blob backend and its secrets in Key Vault do not read the azuread provider's variables (pulumi#13476,
#16526), but AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE, a file.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pipelines.job_log import say
from provisioning.entra.account import read_claims
from provisioning.entra.sign_in_settings import Method, SignInSettings, sign_in_settings
from provisioning.errors import ProvisioningError, SignInUnusable

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

    The token is in a file that only this account reads, and that is gone afterwards. It is renewed for a command that
    takes longer than the token lives: what signs in reads the file again for each new access token.
    Raises SignInUnusable and NoPipelineToken.
    """
    given = dict(environment)
    settings = sign_in_settings(environment)
    if environment.get(TOKEN_FILE) or not _is_on_azure(environment) or not _is_federated(settings):
        yield given
        return
    # A third of a second of imports (azure-identity).
    from provisioning.entra.sign_in import federated_token  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        file, ask = Path(folder, "token"), federated_token(settings.method, settings)
        token = ask()
        _write(file, token)
        given |= {"AZURE_CLIENT_ID": settings.client_id, "AZURE_TENANT_ID": settings.tenant, TOKEN_FILE: str(file)}
        # A token that was handed to the job, and cannot be asked for, is the same at each call.
        with nullcontext() if settings.method is Method.TOKEN else _renewed(file, token, ask):
            yield given


THREAD = "renews the token"
SOONEST = 60.0
"""Seconds between two requests for a token, at least."""
GRACE = 1.0
"""Seconds for which a command that has ended waits for a request under way: a job that was cancelled has few."""


def renewal_after(token: str, now: float) -> float | None:
    """In how many seconds a token is to be renewed: after half of what it still lives. None if it does not say.

    now: seconds since 1970.
    """
    end = read_claims(token).get("exp")
    return max((end - now) / 2, SOONEST) if isinstance(end, int | float) else None


@contextmanager
def _renewed(file: Path, token: str, ask: Callable[[], str]) -> Iterator[None]:
    """Meanwhile, write a new token to the file before the old one ends. What prevents it is said at the end.

    Not at once: a line of this thread must not get into one of the command's.
    """
    over, writing = threading.Event(), threading.Lock()
    prevented: list[ProvisioningError | OSError] = []

    def renew() -> None:
        current = token
        while (wait := renewal_after(current, time.time())) is not None and not over.wait(wait):
            try:
                new = ask()
                with writing:
                    # The file's folder goes when the command has ended.
                    if not over.is_set():
                        _write(file, new)
            except (ProvisioningError, OSError) as error:
                prevented[:] = [error]
            else:
                prevented.clear()
                current = new

    beside = threading.Thread(target=renew, name=THREAD, daemon=True)
    beside.start()
    try:
        yield
    finally:
        with writing:
            over.set()
        beside.join(GRACE)
        for error in prevented:
            say(f"The token for the state could not be renewed: {error}")


def _write(file: Path, token: str) -> None:
    """Have the file hold the token at one moment: whoever reads it meanwhile sees the old one."""
    new = file.with_name("new")
    new.touch(mode=0o600)
    new.write_text(token, encoding="utf-8")
    new.replace(file)


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
