"""Deploys one stack, of which several may run side by side in one process.

The selected stack of the project stays what it is. The secrets in the stacks' configurations are read only if the
environment has a login, to see which stack has a key of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from provisioning.errors import EngineFailed, SettingsError
from provisioning.fleet.logins import Granted, addresses, any_login, granted
from provisioning.fleet.runner import Result, StackOutcome, Watch, sentence
from provisioning.nocobase.login import stored_logins
from provisioning.pulumi_cli import Engines, Pulumi
from provisioning.pulumi_events import REFRESH, Event, StepBegun, StepEnded
from provisioning.waiting import answers_of


@dataclass(frozen=True)
class Deployer:
    """Deploys stacks of the project in `folder`, or only looks at what would change.

    policy_packs: folders of policy packs that every stack has to satisfy; policy_configs: one file for each of them.
    logins: what each stack gets of the environment's logins, see `logins_of`; without it, all of them.
    """

    folder: Path
    preview: bool = False
    policy_packs: Sequence[str] = ()
    policy_configs: Sequence[str] = ()
    logins: Mapping[str, Granted | EngineFailed] = field(default_factory=dict)
    engines: Engines = field(default_factory=Engines)

    def stacks(self) -> list[str]:
        """The project's stacks in the backend. Raises EngineFailed."""
        return Pulumi(folder=self.folder).stacks()

    def logins_of(self, stacks: Sequence[str], parallel: int) -> dict[str, Granted | EngineFailed]:
        """What each of `stacks` gets of the logins in the environment, or why its configuration cannot be read."""
        if not any_login(os.environ):
            return {}

        def configuration(name: str) -> Mapping[str, str] | EngineFailed:
            try:
                return Pulumi(name, folder=self.folder).configuration()[0]
            except EngineFailed as error:
                return error

        read = answers_of([partial(configuration, name) for name in stacks], parallel)
        found = dict(zip(stacks, read, strict=True))
        places = {name: {} if isinstance(config, EngineFailed) else addresses(config) for name, config in found.items()}
        return {
            name: config if isinstance(config, EngineFailed) else granted(name, places, _own(config), os.environ)
            for name, config in found.items()
        }

    def deploy(self, name: str, watch: Watch) -> Result:
        """`pulumi up` (or `preview`) on one stack; its failure is a result, too."""
        if self.engines.told_to_end:
            return Result(name, StackOutcome.STOPPED, error="not started")
        watch.began(name)
        began = time.monotonic()
        changes: dict[str, int] = {}
        foreseen = False
        due: dict[str, str] = {}

        def follow(event: Event) -> None:
            match event:
                case StepBegun() if event.is_change:
                    watch.step(name, event.words)
                case StepEnded(operation, outputs={"restart_due": str(said)}) if operation != REFRESH:
                    due[event.urn] = said

        try:
            engine = Pulumi(name, self._login_variables(name), self.folder, engines=self.engines)
            for operation in self._operations:
                ended = engine.operate(operation, *self._policies, on_event=follow)
                changes, errors, foreseen = ended.changes, ended.errors, operation == "preview"
                if not ended.succeeded:
                    break
        except EngineFailed as error:
            errors = [str(error)]
        spent = time.monotonic() - began
        if errors:
            outcome = StackOutcome.STOPPED if self.engines.told_to_end else StackOutcome.FAILED
            return Result(
                name,
                outcome,
                changes=changes,
                seconds=spent,
                error=sentence(errors),
                detail="\n".join(errors),
                foreseen=foreseen,
            )
        outcome = StackOutcome.UNCHANGED
        if changes:
            outcome = StackOutcome.WOULD_CHANGE if self.preview else StackOutcome.CHANGED
        # A NocoBase 3 that a person has to restart: no failure, but nobody would learn of it.
        return Result(name, outcome, changes, spent, detail="\n".join(due.values()), foreseen=foreseen)

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

    def _login_variables(self, name: str) -> Mapping[str, str]:
        """The login variables of one stack, over this process's own. Raises EngineFailed."""
        found = self.logins.get(name, Granted())
        if isinstance(found, EngineFailed):
            raise found
        for why in found.withheld.values():
            raise EngineFailed(f"Not deployed, {why}.")
        return found.variables


def _own(config: Mapping[str, str]) -> list[str]:
    """The installations for which a stack has a key of its own."""
    try:
        return list(stored_logins(config).keys)
    except SettingsError:
        # The program itself rejects such a configuration, in words.
        return []
