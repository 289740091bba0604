"""Deploys one stack by Pulumi's Automation API, of which several may run side by side in one process.

The selected stack of the workspace stays what it is, and no secret is asked for. Importing this takes the whole SDK.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pulumi import automation
from pulumi.automation import CommandError, CommandResult, EngineEvent, LocalWorkspace, OpType, PulumiCommand

from provisioning.errors import EngineFailed
from provisioning.fleet.runner import Outcome, Result, Watch, sentence
from provisioning.nocobase.login import API_KEY, API_KEYS, missing_login, stored_keys

COLOUR_TAG = re.compile(r"<\{%.*?%\}>")
"""How the engine marks colours in its events."""

NO_NEWS = ("update failed", "preview failed", "one or more errors occurred")
"""What the engine adds to every error."""

LOGIN = ("NOCOBASE_API_KEY", "NOCOBASE_ACCOUNT", "NOCOBASE_PASSWORD")
"""The environment's login to the main NocoBase; those to others are called so with `_<NAME>`."""


class Engines(PulumiCommand):
    """The `pulumi` on PATH, of which several run at once, and all of which can be told to end."""

    def __init__(self) -> None:
        try:
            super().__init__()
        except FileNotFoundError:
            raise EngineFailed(
                "The `pulumi` command was not found. Install the Pulumi CLI, or put it on PATH."
            ) from None
        except (automation.InvalidVersionError, subprocess.CalledProcessError) as error:
            raise EngineFailed(f"The `pulumi` command cannot be used: {error}") from None
        self._running: set[subprocess.Popen[str]] = set()
        # A signal's handler may come upon the main thread within.
        self._lock = threading.RLock()
        self._told = 0

    @property
    def told_to_end(self) -> bool:
        """Whether the person wants all to end."""
        return self._told > 0

    def stop(self) -> None:
        """Have every engine end: it finishes the step that it is at and saves its state; at the third word, at once."""
        with self._lock:
            self._told += 1
            for process in self._running:
                if self._told > 2:
                    process.kill()
                else:
                    process.send_signal(signal.SIGINT)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], object] | None = None,
        on_error: Callable[[str], object] | None = None,
    ) -> CommandResult:
        """Run one command to its end. Raises CommandError with what it said on stderr."""
        with self._lock:
            # In a session of its own it is not reached by the terminal's Ctrl-C, which counts once for every engine.
            process = subprocess.Popen(
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self._running.add(process)
            if self._told:
                process.send_signal(signal.SIGINT)
        try:
            stdout, stderr = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        result = CommandResult(stdout, stderr, process.returncode)
        if process.returncode != 0:
            raise _Failed(result)
        return result


class _Failed(CommandError):
    """A command failed; `stderr` is what it said."""

    def __init__(self, result: CommandResult) -> None:
        super().__init__(result)
        self.stderr = result.stderr


class _Workspace(LocalWorkspace):
    """The project's folder. Selecting a stack is left to people: every command names its own."""

    def select_stack(self, stack_name: str) -> None:
        """Nothing."""


class _Stack(automation.Stack):
    """A stack of which only the events of its run are wanted.

    The Automation API would also fetch the outputs and the history with every secret in the clear, by three more runs
    of the engine.
    """

    def outputs(self) -> automation.OutputMap:
        """None of them."""
        return {}

    def info(self, show_secrets: bool = False) -> automation.UpdateSummary:
        """No more than that it is done."""
        return automation.UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


@dataclass
class _Heard:
    """What the engine's events told of one run, with the steps passed on to `watch`."""

    stack: str
    watch: Watch
    changes: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def __call__(self, event: EngineEvent) -> None:
        if (pre := event.resource_pre_event) and pre.metadata.op != OpType.SAME:
            kind = pre.metadata.type.rpartition(":")[2]
            self.watch.step(self.stack, f"{OpType(pre.metadata.op).value.replace('-', ' ')} {kind}")
        if (said := event.diagnostic_event) and said.severity == "error":
            self._add(said.message)
        if (policy := event.policy_event) and policy.enforcement_level == "mandatory":
            self._add(f"Policy {policy.policy_name}: {policy.message}")
        if summary := event.summary_event:
            self.changes = {str(kind): count for kind, count in summary.resource_changes.items() if kind != "same"}

    def _add(self, message: str) -> None:
        plain = COLOUR_TAG.sub("", message).strip().removeprefix("error: ")
        if plain and plain not in self.errors and not plain.startswith(NO_NEWS):
            self.errors.append(plain)


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
        try:
            return [stack.name for stack in self._workspace().list_stacks()]
        except _Failed as error:
            raise EngineFailed(f"The backend's stacks cannot be listed: {_said(error.stderr)[0]}") from None

    def deploy(self, name: str, watch: Watch) -> Result:
        """`pulumi up` (or `preview`) on one stack; its failure is a result, too."""
        if self.engines.told_to_end:
            return Result(name, Outcome.STOPPED, error="not begun")
        watch.began(name)
        began = time.monotonic()
        heard = _Heard(name, watch)
        stack = _Stack.select(name, self._workspace())
        operations = [stack.preview if self.preview else stack.up]
        if self.policy_packs and not self.preview:
            # A policy that is found broken in the middle of an update would leave it half done.
            operations.insert(0, stack.preview)
        try:
            stack.workspace.env_vars = self._environment(name, stack.workspace)
            for operation in operations:
                heard.changes.clear()
                operation(
                    color="never",
                    on_event=heard,
                    suppress_outputs=True,
                    suppress_progress=True,
                    policy_packs=list(self.policy_packs),
                    policy_pack_configs=list(self.policy_configs),
                )
        except _Failed as error:
            messages = heard.errors or _said(error.stderr)
            outcome = Outcome.STOPPED if self.engines.told_to_end else Outcome.FAILED
            spent = time.monotonic() - began
            return Result(name, outcome, heard.changes, spent, sentence(messages), "\n".join(messages))
        outcome = Outcome.UNCHANGED
        if heard.changes:
            outcome = Outcome.WOULD_CHANGE if self.preview else Outcome.CHANGED
        return Result(name, outcome, heard.changes, time.monotonic() - began)

    def _environment(self, name: str, workspace: automation.Workspace) -> dict[str, str]:
        """Variables that hide from the stack `name` each login for which it has a key of its own."""
        if not self.own_key_first or not any(value for key, value in os.environ.items() if key.startswith(LOGIN)):
            return {}
        config = {key.rpartition(":")[2]: entry.value for key, entry in workspace.get_all_config(name).items()}
        try:
            own = stored_keys(config.get(API_KEY), config.get(API_KEYS))
        except ValueError:
            # The program itself refuses such a configuration, in words.
            return {}
        suffixes = [missing_login(installation).key.removeprefix(LOGIN[0]) for installation in own]
        return {f"{variable}{suffix}": "" for variable in LOGIN for suffix in suffixes}

    def _workspace(self) -> LocalWorkspace:
        return _Workspace(work_dir=str(self.folder), pulumi_command=self.engines)


def _said(stderr: str) -> list[str]:
    """The errors that a command printed, one message each with the lines that follow it; all of it if there is none."""
    text = COLOUR_TAG.sub("", stderr).strip()
    return [part.strip() for part in re.split(r"^error: ", text, flags=re.MULTILINE)[1:]] or [text]
