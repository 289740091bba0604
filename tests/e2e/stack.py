"""A stack on the real engine and the real NocoBase, and what both sides hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import pbkdf2_hmac
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox import holdings
from sandbox.engine.tools import PASSPHRASE
from sandbox.environment import environment
from sandbox.nocobase import server
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests import empty_stack
from tests.e2e import outside

NOWHERE = "http://127.0.0.1:9"
FENCE = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "localhost,127.0.0.1"}
"""A proxy that nobody listens on stands between the programs and everything past loopback."""

ATTACHED: dict[Path, str] = {}
"""The port of the azuread stand-in that goes on running across the commands of a sandbox, by its home."""

OF_THE_PLUGIN = ("ARM_", "AZURE_", "SANDBOX_AZUREAD_", "SSL_", "HTTP", "NO_PROXY")
"""Variables that the plugin reads when it starts: a command that sets one of them gets a plugin of its own."""

SECRET = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks an encrypted value."""

NAME = "dev"
PROGRAM = "nocobase-outlook"
PREFIX = f"{PROGRAM}:"


def surroundings(place: Place, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which tests run `pulumi` and the commands beside it."""
    extra = extra or {}
    own_plugin = any(name.startswith(OF_THE_PLUGIN) for name in extra) or place.home not in ATTACHED
    attached = {} if own_plugin else {"PULUMI_DEBUG_PROVIDERS": f"azuread:{ATTACHED[place.home]}"}
    return {**os.environ, **environment(place), **FENCE, **attached, **extra}


@dataclass
class Stack:
    """Plain `pulumi` commands on the stack `dev` of the sandbox in `place`, and what both sides hold.

    said: everything that any command printed.
    """

    place: Place
    said: list[str] = field(default_factory=list)

    def pulumi(self, *arguments: str, ok: bool = True, extra: Mapping[str, str] | None = None) -> str:
        """Run `pulumi` with `arguments` in a shell with the sandbox's environment; return all that it printed."""
        ended = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.place.project,
            env=surroundings(self.place, extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.said.append(ended.stdout)
        assert (ended.returncode == 0) is ok, ended.stdout
        return ended.stdout

    def up(self, *arguments: str, ok: bool = True, extra: Mapping[str, str] | None = None) -> str:
        """`pulumi up` without questions and without a preview."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, ok=ok, extra=extra)

    def set(self, key: str, value: object, stack: str = NAME) -> None:
        """Write one setting into the stack's file, lists and objects as a whole."""
        self._change(stack, lambda config: config.update({PREFIX + key: value}))

    def unset(self, *keys: str, stack: str = NAME) -> None:
        """Remove settings from the stack's file; those that are not there are no matter."""
        self._change(stack, lambda config: [config.pop(PREFIX + key, None) for key in keys])

    def _change(self, stack: str, change: Any) -> None:
        file = self.place.project / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(file.read_text())
        change(document["config"])
        file.write_text(yaml.safe_dump(document))

    def make(self, name: str, **settings: object) -> None:
        """A further stack, not selected."""
        write_stack(
            self.place, self.place.project, PROGRAM, name, {"nocobaseUrl": nocobase_url(self.place), **settings}
        )

    @property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, the secret one included, as its state holds them."""
        salt = yaml.safe_load((self.place.project / f"Pulumi.{NAME}.yaml").read_text())["encryptionsalt"]
        return {name: _decrypted(value, salt) for name, value in outputs(self.state_file).items()}

    @property
    def applications(self) -> list[dict[str, Any]]:
        """The applications in Entra ID."""
        found: list[dict[str, Any]] = holdings.entra(self.place)["applications"]
        return [item for item in found if item["displayName"] != "Sandbox deployer"]

    @property
    def row(self) -> dict[str, Any]:
        """NocoBase's Microsoft row as its database holds it."""
        row = server.mail_settings_row(self.place)
        assert row is not None
        return row

    @property
    def credentials(self) -> tuple[str, str]:
        """Client ID and client secret in NocoBase; empty where there are none."""
        return self.row["clientId"] or "", self.row["clientSecret"] or ""

    @property
    def state_file(self) -> Path:
        """The engine's checkpoint of the stack."""
        (file,) = self.place.pulumi_state.glob(f".pulumi/stacks/*/{NAME}.json")
        return file

    def nocobase(self, action: str, body: Mapping[str, object], app: str = "", **parameters: str) -> Any:
        """Change something in NocoBase, or in its sub-application, behind the stack's back, as an administrator."""
        headers = {"Authorization": f"Bearer {server.api_key(self.place)}", **({"X-App": app} if app else {})}
        url = f"{nocobase_url(self.place)}/api/{action}"
        answer = httpx.post(url, headers=headers, params=parameters, json=dict(body), trust_env=False)
        return answer.raise_for_status().json().get("data")


def graph(stack: Stack, method: str, path: str, body: object = None, login: tuple[str, str] = outside.DEPLOYER) -> Any:
    """Change or read something in Entra ID behind the stack's back. login: client ID and secret."""
    return outside.graph(stack.place, method, path, body, login)


def write_stack(place: Place, folder: Path, program: str, name: str, settings: Mapping[str, object]) -> Path:
    """A stack of the program in `folder`, as `pulumi stack init --no-select` makes it, without its second.

    Its passphrase is that of the stack `dev`. Returns where its state will be.
    """
    document = yaml.safe_load((place.project / f"Pulumi.{NAME}.yaml").read_text())
    document["config"] = {f"{program}:{key}": value for key, value in settings.items()}
    (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(document))
    state = place.pulumi_state / ".pulumi" / "stacks" / program / f"{name}.json"
    state.parent.mkdir(exist_ok=True)
    state.write_text(empty_stack.checkpoint(program, name, document["encryptionsalt"]))
    return state


def outputs(state: Path) -> dict[str, Any]:
    """A stack's outputs as its state holds them, secret ones encrypted."""
    resources = json.loads(state.read_text())["checkpoint"]["latest"]["resources"]
    found: dict[str, Any] = next(one["outputs"] for one in resources if one["type"] == "pulumi:pulumi:Stack")
    return found


def _decrypted(value: Any, salt: str) -> Any:
    """An output's value, decrypted as the engine's passphrase provider does (pkg/v3/secrets/passphrase)."""
    if not isinstance(value, dict) or SECRET not in value:
        return value
    _, nonce, text = value["ciphertext"].split(":")
    plain = AESGCM(_key(salt)).decrypt(b64decode(nonce), b64decode(text), None)
    return json.loads(plain)


@lru_cache
def _key(salt: str) -> bytes:
    found = re.match(r"v1:([^:]+):", salt)
    assert found is not None
    return pbkdf2_hmac("sha256", PASSPHRASE.encode(), b64decode(found[1]), 1_000_000, 32)
