"""Deploys one stack, of which several may run side by side in one process.

The selected stack of the project stays what it is, and no secret is asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.errors import EngineFailed, SettingsError
from provisioning.fleet.runner import Result, StackOutcome, Watch, sentence
from provisioning.nocobase.login import missing_login, stored_logins
from provisioning.pulumi_cli import Engines, Pulumi
from provisioning.pulumi_events import SAME, Event, StepBegun

LOGIN = ("NOCOBASE_API_KEY", "NOCOBASE_ACCOUNT", "NOCOBASE_PASSWORD")
"""The environment's login to the main NocoBase; those to others are called so with `_<NAME>`."""


@dataclass(frozen=True)
class Deployer:
    """Deploys stacks of the project in `folder`, or only looks at what would change.

    policy_packs: folders of policy packs that every stack has to satisfy; policy_configs: one file for each of them.
    own_key_first: a login in the environment is one NocoBase's; among many stacks it is for those without their own.
    """

    folder: Path
    preview: bool = False
    policy_packs: Sequence[str] = ()
    policy_configs: Sequence[str] = ()
    own_key_first: bool = False
    engines: Engines = field(default_factory=Engines)

    def stacks(self) -> list[str]:
        """The project's stacks in the backend. Raises EngineFailed."""
        return Pulumi(folder=self.folder).stacks()

    def deploy(self, name: str, watch: Watch) -> Result:
        """`pulumi up` (or `preview`) on one stack; its failure is a result, too."""
        if self.engines.told_to_end:
            return Result(name, StackOutcome.STOPPED, error="not begun")
        watch.began(name)
        began = time.monotonic()
        changes: dict[str, int] = {}

        def follow(event: Event) -> None:
            if isinstance(event, StepBegun) and event.operation != SAME:
                watch.step(name, event.words)

        try:
            engine = Pulumi(name, self._hidden_logins(name), self.folder, engines=self.engines)
            for operation in self._operations:
                ended = engine.operate(operation, *self._policies, on_event=follow)
                changes, errors = ended.changes, ended.errors
                if not ended.succeeded:
                    break
        except EngineFailed as error:
            errors = [str(error)]
        spent = time.monotonic() - began
        if errors:
            outcome = StackOutcome.STOPPED if self.engines.told_to_end else StackOutcome.FAILED
            return Result(name, outcome, changes, spent, sentence(errors), "\n".join(errors))
        outcome = StackOutcome.UNCHANGED
        if changes:
            outcome = StackOutcome.WOULD_CHANGE if self.preview else StackOutcome.CHANGED
        return Result(name, outcome, changes, spent)

    @property
    def _operations(self) -> tuple[str, ...]:
        if self.preview:
            return ("preview",)
        # A policy that is violated in the middle of an update would leave it half done.
        return ("preview", "up") if self.policy_packs else ("up",)

    @property
    def _policies(self) -> list[str]:
        packs = [f"--policy-pack={folder}" for folder in self.policy_packs]
        return packs + [f"--policy-pack-config={file}" for file in self.policy_configs]

    def _hidden_logins(self, name: str) -> dict[str, str]:
        """Variables that hide from a stack each login for which it has a key of its own. Raises EngineFailed."""
        if not self.own_key_first or not any(value for key, value in os.environ.items() if key.startswith(LOGIN)):
            return {}
        config, _ = Pulumi(name, folder=self.folder).configuration()
        try:
            own = stored_logins(config).keys
        except SettingsError:
            # The program itself rejects such a configuration, in words.
            return {}
        suffixes = [missing_login(installation).key.removeprefix(LOGIN[0]) for installation in own]
        return {f"{variable}{suffix}": "" for variable in LOGIN for suffix in suffixes}
