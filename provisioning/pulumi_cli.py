"""Runs the `pulumi` command for the commands beside it: the same engine, the same stack, the same plan."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.errors import EngineFailed

NEEDED_KEY = "nocobaseUrl"

SECRET = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks a secret value in a checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """What a stack's state holds, resource by resource. It may hold secrets: never log it."""

    resources: Sequence[Mapping[str, Any]] = field(repr=False)

    def outputs_of(self, kind: str) -> list[dict[str, Any]]:
        """The outputs of the resources of type `kind`; secret ones are None, unless they were asked for."""
        return [dict(resource["outputs"]) for resource in self.resources if resource["type"] == kind]

    @property
    def by_urn(self) -> dict[str, Mapping[str, Any]]:
        """Every resource by its URN, but for what a broken-off replacement has yet to delete."""
        return {str(resource["urn"]): resource for resource in self.resources if not resource.get("delete")}


@dataclass(frozen=True)
class Pulumi:
    """The `pulumi` on PATH, on one stack; without a name, on the one that is selected.

    environment: variables that it is given besides this process's own.
    """

    stack: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def up(self) -> None:
        """`pulumi up` without questions, its display passed through. Raises EngineFailed."""
        self._run("up", "--yes", "--skip-preview", shown=True)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; secret ones are not shown. Raises EngineFailed."""
        found: dict[str, Any] = json.loads(self._run("stack", "output", "--json"))
        return found

    def config(self, key: str) -> str | None:
        """One configuration value, None if it is not set or secret. Raises EngineFailed."""
        values = json.loads(self._run("config", "--json"))
        return next((entry.get("value") for name, entry in values.items() if name.endswith(f":{key}")), None)

    def configuration(self, show_secrets: bool = True) -> tuple[dict[str, str], set[str]]:
        """The project's own configuration values, secret ones in the clear or empty, and which keys are secret.

        Keys come without the project's name, lists as JSON: as the program itself is given them. Raises EngineFailed.
        """
        entries = json.loads(self._run("config", "--json", *(["--show-secrets"] if show_secrets else [])))
        # Providers have keys of their own (`azuread:…`); this one is always there, be it by its default.
        prefix = next((name.removesuffix(NEEDED_KEY) for name in entries if name.endswith(f":{NEEDED_KEY}")), ":")
        own = {name.removeprefix(prefix): entry for name, entry in entries.items() if name.startswith(prefix)}
        return (
            {key: str(entry.get("value", "")) for key, entry in own.items()},
            {key for key, entry in own.items() if entry.get("secret")},
        )

    def set_config(self, key: str, value: str) -> None:
        """Set one configuration value, which must not be a secret. Raises EngineFailed."""
        self._run("config", "set", key, value)

    def export(self, show_secrets: bool = False) -> Checkpoint:
        """What the stack's state holds. Raises EngineFailed."""
        told = self._run("stack", "export", *(["--show-secrets"] if show_secrets else []))
        found = (json.loads(told).get("deployment") or {}).get("resources") or []
        return Checkpoint(tuple({**item, "outputs": plain(item.get("outputs") or {})} for item in found))

    def name(self) -> str:
        """The stack's name. Raises EngineFailed."""
        return self.stack or self._run("stack", "--show-name").strip()

    def stacks(self) -> list[str]:
        """The names of the project's stacks in the backend. Raises EngineFailed."""
        return [str(item["name"]) for item in json.loads(self._run("stack", "ls", "--json"))]

    def identity(self) -> str:
        """The stack's whole name: organization/project/stack. Raises EngineFailed."""
        stack = json.loads(self._run("about", "--json")).get("currentStack")
        if not stack:
            raise EngineFailed("No stack is selected. Select one (`pulumi stack select`), or name it by --stack.")
        return str(stack["fullyQualifiedName"])

    def create(self, secrets_provider: str) -> None:
        """Make the stack, whose secrets `secrets_provider` encrypts, and select it. Raises EngineFailed."""
        provider = [f"--secrets-provider={secrets_provider}"] if secrets_provider else []
        self._run("stack", "init", *provider)

    def backend(self) -> str:
        """The address of the backend. Raises EngineFailed, also if nobody is signed in to it."""
        return str(json.loads(self._run("whoami", "--json"))["url"])

    def config_of(self, key: str) -> str | None:
        """One configuration value by its whole name, like azuread:tenantId. Raises EngineFailed."""
        entry = json.loads(self._run("config", "--json")).get(key) or {}
        return entry.get("value")

    def configure(self, values: Mapping[str, str | Sequence[str]]) -> None:
        """Set configuration values, lists as a whole; none may be a secret. Raises EngineFailed."""
        # Not by paths, which make numbers and truth values of text that looks like one.
        entries = {
            key: {"value": value} if isinstance(value, str) else {"value": json.dumps(value), "objectValue": value}
            for key, value in values.items()
        }
        self._run("config", "set-all", "--json", json.dumps(entries))

    def adopt(self, resources: Sequence[Mapping[str, object]], names: Mapping[str, str]) -> None:
        """`pulumi import`: take `resources`, of its import file, into the state; nothing of them is changed.

        names: the file's table of names, for parents that the state holds already. Raises EngineFailed.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "import.json")
            file.write_text(json.dumps({"nameTable": names, "resources": list(resources)}))
            options = ("--yes", "--skip-preview", "--generate-code=false", "--protect=false")
            self._run("import", "--file", str(file), *options)

    def preview(self) -> dict[str, Any]:
        """What `pulumi up` would do, as `pulumi preview --json` tells it. Raises EngineFailed with the errors in it."""
        ended = self._ended("preview", "--json")
        try:
            found: dict[str, Any] = json.loads(ended.stdout)
        except json.JSONDecodeError:
            found = {"diagnostics": [{"severity": "error", "message": ended.stderr or ended.stdout}]}
        if ended.returncode != 0:
            said = [item["message"].strip() for item in found["diagnostics"] or [] if item["severity"] == "error"]
            raise EngineFailed("`pulumi preview` failed: " + "\n".join(dict.fromkeys(said)))
        return found

    def _run(self, *arguments: str, shown: bool = False) -> str:
        ended = self._ended(*arguments, shown=shown)
        if ended.returncode != 0:
            said = "" if shown else f": {(ended.stderr or '').strip()}"
            raise EngineFailed(
                f"`pulumi {' '.join(arguments)}` failed{said}. Mend what it says, then repeat this command."
            )
        return ended.stdout or ""

    def _ended(self, *arguments: str, shown: bool = False) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", *arguments, "--non-interactive", *(["--stack", self.stack] if self.stack else [])]
        pipe = None if shown else subprocess.PIPE
        environment = {**os.environ, **self.environment}
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment, text=True, check=False
            )
        except FileNotFoundError:
            raise EngineFailed(
                "The `pulumi` command was not found. Install the Pulumi CLI, or put it on PATH."
            ) from None


def plain(value: Any) -> Any:
    """A checkpoint's value without the engine's wrapping of secrets: the secret, or None where it is encrypted."""
    if isinstance(value, dict):
        if SECRET in value:
            return json.loads(value["plaintext"]) if "plaintext" in value else None
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
