"""Runs the `pulumi` command for the commands beside it: the same engine, the same stack, the same plan."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from provisioning.errors import EngineFailed

PASSWORD_TYPE = "azuread:index/applicationPassword:ApplicationPassword"
APPLICATION_TYPE = "azuread:index/application:Application"


@dataclass(frozen=True)
class Pulumi:
    """The `pulumi` on PATH, on one stack; without a name, on the one that is selected."""

    stack: str | None = None

    def up(self) -> None:
        """`pulumi up` without questions, its display passed through. Raises EngineFailed."""
        self._run("up", "--yes", "--skip-preview", shown=True)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; secret ones are not shown. Raises EngineFailed."""
        found: dict[str, Any] = json.loads(self._run("stack", "output", "--json"))
        return found

    def config(self, key: str) -> str | None:
        """One configuration value, None if it is not set. Raises EngineFailed."""
        values = json.loads(self._run("config", "--json"))
        return next((entry.get("value") for name, entry in values.items() if name.endswith(f":{key}")), None)

    def set_config(self, key: str, value: str) -> None:
        """Set one configuration value, which must not be a secret. Raises EngineFailed."""
        self._run("config", "set", key, value)

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """The outputs of the stack's resources of type `kind`, secret ones encrypted. Raises EngineFailed."""
        deployment = json.loads(self._run("stack", "export")).get("deployment") or {}
        return [item.get("outputs") or {} for item in deployment.get("resources") or [] if item["type"] == kind]

    def _run(self, *arguments: str, shown: bool = False) -> str:
        command = ["pulumi", *arguments, "--non-interactive", *(["--stack", self.stack] if self.stack else [])]
        pipe = None if shown else subprocess.PIPE
        try:
            ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, check=False)
        except FileNotFoundError:
            raise EngineFailed(
                "The `pulumi` command was not found. Install the Pulumi CLI, or put it on PATH."
            ) from None
        if ended.returncode != 0:
            said = "" if shown else f": {(ended.stderr or '').strip()}"
            raise EngineFailed(
                f"`pulumi {' '.join(arguments)}` failed{said}. Mend what it says, then repeat this command."
            )
        return ended.stdout or ""
