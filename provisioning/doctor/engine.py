"""The Pulumi engine: is it there, has it the plugin, where is the state, and who can read the secrets in it.

The checks first, as pure functions over what the engine and the files say; below them, the questions.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from provisioning import pins
from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.errors import EngineFailed
from provisioning.foreign import listed, quoted
from provisioning.pulumi_cli import INSTALL, Pulumi, settings_file

OLDEST_TRIED = (3, 255, 0)
"""The oldest engine that this program was tried with."""

TIMEOUT_SECONDS = 30.0

CI_VARIABLES = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "BUILD_BUILDID", "JENKINS_URL", "TEAMCITY_VERSION")
"""Set by the pipeline systems themselves."""

SHARED_BACKENDS = "Pulumi Cloud (`pulumi login`), azblob://<container> or s3://<bucket> (`pulumi login <address>`)"

ITERATIONS = 1_000_000
"""How often the engine hashes a passphrase, PBKDF2 with SHA-256, to a key of 32 bytes for AES-GCM."""


@dataclass(frozen=True)
class SecretsProvider:
    """What encrypts the stack's secrets, as its file says it. named: a key service's address; salt: a passphrase's."""

    named: str | None = None
    salt: str | None = None


@dataclass(frozen=True)
class Passphrase:
    """The passphrase that the engine is given.

    text: None if it is given none. over_file: whether a file is named, too, which the engine does not read then.
    """

    text: str | None = field(repr=False)
    over_file: bool = False


def check_engine(said: str) -> Finding:
    """said: what `pulumi version` prints."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", said.strip())
    number = tuple(int(part) for part in found.groups()) if found else None
    tried = ".".join(map(str, OLDEST_TRIED))
    update = "Install the present Pulumi CLI: https://www.pulumi.com/docs/install/."
    if found is None or number is None:
        return warning("the engine does not tell its version", update)
    if number[0] != OLDEST_TRIED[0]:
        return failed(f"Pulumi {found[0]}; this program needs version {OLDEST_TRIED[0]}", update)
    if number < OLDEST_TRIED:
        return warning(f"Pulumi {found[0]}; this program was tried with {tried} and newer ones", update)
    return ok(f"Pulumi {found[0]}")


def check_plugin(plugins: Sequence[Mapping[str, Any]], wanted: str, environment: Mapping[str, str]) -> Finding:
    """plugins: what `pulumi plugin ls --json` prints. wanted: the version that the program asks for."""
    found = sorted({str(item.get("version")) for item in plugins if item.get("name") == "azuread"})
    if wanted in found:
        return ok(f"azuread {wanted}")
    said = f"azuread {wanted} is not installed ({listed(found) or 'no other version either'})"
    install = f"pulumi plugin install resource azuread {wanted}"
    if _true(environment.get("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION")):
        return failed(said, install)
    return warning(f"{said}; the next `pulumi up` downloads it", f"To do it now: {install}")


def check_backend(url: str, user: str, environment: Mapping[str, str], only_here: bool) -> Finding:
    """url, user: of the backend, as `pulumi whoami --json` names them.

    only_here: whether NocoBase runs on this machine, too, so that nobody elsewhere has a use for the state.
    """
    shown = quoted(_without_login(url))
    if not url.startswith("file://"):
        return ok(f"{shown}, as {quoted(user)}")
    named = next((name for name in CI_VARIABLES if _true(environment.get(name))), None)
    if named is not None:
        return failed(
            f"{shown}; a pipeline's machine ({named} is set) is gone after the run, and the state with it",
            f"Keep the state where every run finds it: {SHARED_BACKENDS}.",
        )
    if only_here:
        return ok(f"{shown}, on this machine only, like NocoBase")
    return warning(
        f"{shown}; neither a colleague nor a pipeline sees this state, and no backup is made of it",
        f"For a team: `pulumi stack export`, then {SHARED_BACKENDS}, and `pulumi stack import` there.",
    )


def check_secrets(provider: SecretsProvider, passphrase: Passphrase, local_backend: bool, only_here: bool) -> Finding:
    """Who can read the stack's secrets. local_backend: state in a file; only_here: as in check_backend."""
    if provider.named and provider.named not in ("passphrase", "default"):
        return ok(f"secrets are encrypted by {_without_login(provider.named).partition('?')[0]}")
    if provider.salt is None:
        if local_backend:
            return ok("nothing is encrypted yet; the first secret asks for a passphrase")
        return ok("secrets are encrypted by the backend")
    if opens(provider.salt, ""):
        said = "the passphrase is empty: whoever has the stack's file or state reads its secrets"
        remedy = "pulumi stack change-secrets-provider passphrase (or azurekeyvault://<vault>/keys/<key>)"
        return (
            warning(f"{said}; this NocoBase is reached from this machine only", remedy)
            if only_here
            else failed(said, remedy)
        )
    if passphrase.text is None:
        return warning("secrets are encrypted by a passphrase, which is not given", GIVE_PASSPHRASE)
    if not opens(provider.salt, passphrase.text):
        said = "the passphrase that is given is not the one of this stack"
        if passphrase.over_file:
            return failed(f"{said}: PULUMI_CONFIG_PASSPHRASE is set, and counts, not the file", UNSET_PASSPHRASE)
        return failed(said, GIVE_PASSPHRASE)
    return ok("secrets are encrypted by a passphrase, which is given and right")


GIVE_PASSPHRASE = "Set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE, to the one of this stack."

UNSET_PASSPHRASE = "unset PULUMI_CONFIG_PASSPHRASE"
"""Where the file is named, too."""


def opens(salt: str, passphrase: str) -> bool:
    """Whether `passphrase` is that of `salt` (a stack file's `encryptionsalt`), which holds a known word encrypted."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - takes longer than the rest of this module
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    try:
        _, bare, _, nonce, encrypted = (part for part in salt.split(":"))
        key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), base64.b64decode(bare), ITERATIONS, 32)
        AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(encrypted), None)
    except (InvalidTag, ValueError, binascii.Error):
        return False
    return True


def secrets_provider(stack_file: str) -> SecretsProvider:
    """What the text of a stack's file says."""
    found = dict(re.findall(r"^(secretsprovider|encryptionsalt):\s*[\"']?([^\"'\s]+)", stack_file, re.MULTILINE))
    return SecretsProvider(found.get("secretsprovider"), found.get("encryptionsalt"))


def given_passphrase(environment: Mapping[str, str]) -> Passphrase:
    """The passphrase that the engine takes from `environment`. An unreadable file is as good as none."""
    file = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return Passphrase(environment["PULUMI_CONFIG_PASSPHRASE"], bool(file))
    try:
        return Passphrase(Path(file).read_text(encoding="utf-8").strip() if file else None)
    except OSError:
        return Passphrase(None)


def ask_engine() -> Finding:
    """Is it there, and which version?"""
    try:
        return check_engine(_pulumi("version"))
    except EngineFailed as error:
        return failed(str(error).removesuffix(f" {INSTALL}"), INSTALL)


def ask_plugin() -> Finding:
    """Is the azuread plugin there that the program wants?"""
    return check_plugin(json.loads(_pulumi("plugin", "ls", "--json")), pins.version(pins.PLUGIN), os.environ)


def ask_backend(only_here: bool) -> Finding:
    """Where is the state?"""
    try:
        found = json.loads(_pulumi("whoami", "--json"))
    except EngineFailed as error:
        return failed(str(error), f"Sign in to a backend: {SHARED_BACKENDS}.")
    return check_backend(str(found.get("url")), str(found.get("user")), os.environ, only_here)


def ask_secrets(stack: str, only_here: bool) -> Finding:
    """Who can read the stack's secrets? stack: its name, of which this folder has the file."""
    file = Path(settings_file(stack))
    provider = secrets_provider(file.read_text(encoding="utf-8") if file.is_file() else "")
    local = provider.salt is None and json.loads(_pulumi("whoami", "--json")).get("url", "").startswith("file://")
    return check_secrets(provider, given_passphrase(os.environ), local, only_here)


def _pulumi(*arguments: str) -> str:
    """What the engine says to a question that is about no stack. Raises EngineFailed."""
    return Pulumi().ask(*arguments, timeout=TIMEOUT_SECONDS)


def _without_login(url: str) -> str:
    """The address without a user and a password in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _true(value: str | None) -> bool:
    return bool(value) and value.lower() not in ("0", "false", "no") if value else False
