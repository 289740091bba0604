"""Runs the `pulumi` command: the one way to ask it something, and to follow an operation on a stack."""

from __future__ import annotations

import difflib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

from provisioning.errors import EngineFailed, StackUnknown
from provisioning.foreign import listed, quoted
from provisioning.pulumi_events import Event, Operation, parse_event
from provisioning.waiting import waiting_for

NEEDED_KEY = "nocobaseUrl"

SECRET = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks a secret value in a checkpoint."""

COMMAND = re.compile("(?:--)?[a-z][a-z-]*")
"""A word of a command's name, or an option."""

STACK_NAME = re.compile(r"(?:[A-Za-z0-9_.-]+/){0,2}[A-Za-z0-9_.-]+")
"""How the engine lets a stack be called, with its organization and project."""

WITHOUT_QUESTIONS = ("--yes", "--skip-preview")

STREAMED_PREVIEW = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
"""Has `pulumi preview --json` print events, like the other operations."""

NO_STACK = re.compile(r"no stack (?:named '([^'\n]*)' found|selected)")
"""How the engine says that a stack is not there. Source: pkg/v3/backend/backenderr, pkg/v3/cmd/pulumi/stack/io.go."""

NOT_FOUND = "The `pulumi` command was not found."

INSTALL = "Install the Pulumi CLI (https://www.pulumi.com/docs/install/), or put it on PATH."


def settings_file(stack: str) -> str:
    """The name of the file that has a stack's settings. stack: its name, with or without organization and project."""
    return f"Pulumi.{stack.rpartition('/')[2]}.yaml"


@dataclass(frozen=True)
class Checkpoint:
    """What a stack's state holds, resource by resource. It may hold secrets: never log it."""

    resources: Sequence[Mapping[str, Any]] = field(repr=False)

    @property
    def outputs(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """The outputs of every resource by its type and name, but for what a replacement has yet to delete.

        Secret ones are None, unless they were asked for.
        """
        return {
            (str(resource["type"]), str(resource["urn"]).rpartition("::")[2]): resource["outputs"]
            for resource in self.resources
            if not resource.get("delete")
        }

    def every(self, kind: str) -> list[Mapping[str, Any]]:
        """The outputs of every resource of a type, also of what a replacement has yet to delete."""
        return [resource["outputs"] for resource in self.resources if resource["type"] == kind]


class Engines:
    """The operations that run side by side, all of which can be told to end."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        # A signal's handler may come upon the main thread within.
        self._lock = threading.RLock()
        self._told = 0

    @property
    def told_to_end(self) -> bool:
        """Whether the person wants all to end."""
        return self._told > 0

    def stop(self) -> None:
        """Tell every engine to end: it finishes its present step and saves its state. The third time, kill it."""
        with self._lock:
            self._told += 1
            for process in self._running:
                if self._told > 2:
                    process.kill()
                else:
                    process.send_signal(signal.SIGINT)

    @contextmanager
    def running(self, start: Callable[[], subprocess.Popen[str]]) -> Iterator[subprocess.Popen[str]]:
        """Have an engine among those that are told to end, from its start to its end."""
        with self._lock:
            process = start()
            self._running.add(process)
            if self._told:
                process.send_signal(signal.SIGINT)
        try:
            yield process
        finally:
            with self._lock:
                self._running.discard(process)


@dataclass(frozen=True)
class Pulumi:
    """The `pulumi` on PATH, on one stack; without a name, on the one that is selected.

    environment: variables that it is given besides this process's own. folder: the project's, None for the present one.
    engines: those that run side by side and end together; without them the terminal's Ctrl-C reaches the command.
    """

    stack: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    command: str = "pulumi"
    engines: Engines | None = None

    def operate(self, operation: str, *options: str, on_event: Callable[[Event], object] = lambda _: None) -> Operation:
        """Run `up`, `destroy` or `preview` to its end, without questions and without a display.

        on_event: is given each event when it comes. Raises EngineFailed if there is no `pulumi`; an operation that
        fails is a result.
        """
        unasked = () if operation == "preview" else WITHOUT_QUESTIONS
        events: list[Event] = []
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
            self._started([operation, *unasked, "--json", *options], subprocess.PIPE, said) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if event := parse_event(line):
                    events.append(event)
                    on_event(event)
            process.wait()
            said.seek(0)
            return Operation(process.returncode == 0, tuple(events), said.read())

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; secret ones are not shown. Raises EngineFailed."""
        found: dict[str, Any] = json.loads(self.ask("stack", "output", "--json"))
        return found

    def config(self, key: str) -> str | None:
        """One configuration value, None if it is not set or secret. Raises EngineFailed."""
        values = json.loads(self.ask("config", "--json"))
        return next((entry.get("value") for name, entry in values.items() if name.endswith(f":{key}")), None)

    def configuration(self, show_secrets: bool = True) -> tuple[dict[str, str], set[str]]:
        """The project's own configuration values, secret ones in the clear or empty, and which keys are secret.

        Keys come without the project's name, lists as JSON: as the program itself is given them. Raises EngineFailed.
        """
        own = _of_project(json.loads(self.ask("config", "--json", *(["--show-secrets"] if show_secrets else []))))
        return _values(own), {key for key, entry in own.items() if entry.get("secret")}

    def set_config(self, key: str, value: str) -> None:
        """Set one configuration value, which must not be a secret. Raises EngineFailed."""
        self._change("config", "set", key, value)

    def export(self, show_secrets: bool = False) -> Checkpoint:
        """What the stack's state holds. Raises EngineFailed."""
        told = self.ask("stack", "export", *(["--show-secrets"] if show_secrets else []))
        found = (json.loads(told).get("deployment") or {}).get("resources") or []
        return Checkpoint(tuple({**item, "outputs": plain(item.get("outputs") or {})} for item in found))

    def name(self) -> str:
        """The stack's name. Raises EngineFailed."""
        return self.stack or self.ask("stack", "--show-name").strip()

    def stacks(self) -> list[str]:
        """The names of the project's stacks in the backend. Raises EngineFailed."""
        return [str(item["name"]) for item in json.loads(self.ask("stack", "ls", "--json"))]

    def identity(self) -> str:
        """The stack's whole name: organization/project/stack. Raises EngineFailed."""
        stack = json.loads(self.ask("about", "--json")).get("currentStack")
        if not stack:
            raise self._unknown(self.stack) or EngineFailed(
                "`pulumi about` names no stack. Run the same command again."
            )
        return str(stack["fullyQualifiedName"])

    def create(self, secrets_provider: str) -> None:
        """Make the stack, whose secrets `secrets_provider` encrypts, and select it. Raises EngineFailed."""
        provider = [f"--secrets-provider={secrets_provider}"] if secrets_provider else []
        self._change("stack", "init", *provider)

    def backend(self) -> str:
        """The address of the backend. Raises EngineFailed, also if nobody is signed in to it."""
        return str(json.loads(self.ask("whoami", "--json"))["url"])

    def configuration_of(self, provider: str) -> dict[str, str]:
        """A provider's configuration values by their whole names, like azuread:tenantId. Raises EngineFailed.

        Secret ones are in the clear. They are decrypted only where there is one of this provider: that takes the key.
        """
        return self.configuration_with(provider)[1]

    def configuration_with(self, provider: str) -> tuple[dict[str, str], dict[str, str]]:
        """The project's own configuration values, secret ones empty, and a provider's as `configuration_of` has them.

        They take one question together. Raises EngineFailed.
        """
        entries = json.loads(self.ask("config", "--json"))
        own, found = _of_project(entries), _of_provider(provider, entries)
        if any(entry.get("secret") for entry in found.values()):
            found = _of_provider(provider, json.loads(self.ask("config", "--json", "--show-secrets")))
        return _values(own), _values(found)

    def configure(self, values: Mapping[str, str | Sequence[str]]) -> None:
        """Set configuration values, lists as a whole; none may be a secret. Raises EngineFailed."""
        # Not by paths, which make numbers and truth values of text that looks like one.
        entries = {
            key: {"value": value} if isinstance(value, str) else {"value": json.dumps(value), "objectValue": value}
            for key, value in values.items()
        }
        self._change("config", "set-all", "--json", json.dumps(entries))

    def adopt(self, resources: Sequence[Mapping[str, object]], names: Mapping[str, str]) -> None:
        """`pulumi import`: take `resources`, of its import file, into the state; nothing of them is changed.

        They are protected from `pulumi destroy`. names: the file's table of names, for parents that the state holds
        already. Raises EngineFailed.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "import.json")
            file.write_text(json.dumps({"nameTable": names, "resources": list(resources)}))
            options = ("--yes", "--skip-preview", "--generate-code=false", "--protect=true")
            self._change("import", "--file", str(file), *options)

    def ask(self, *arguments: str, timeout: float | None = None) -> str:
        """What a command that changes nothing prints. timeout: seconds.

        Raises EngineFailed with what it says on stderr.
        """
        shown = _shown(arguments, self.stack)
        try:
            with waiting_for(shown, timeout):
                ended = subprocess.run(
                    self._command(arguments),
                    capture_output=True,
                    check=False,
                    timeout=timeout,
                    **self._surroundings,
                )
        except FileNotFoundError:
            raise EngineFailed(f"{NOT_FOUND} {INSTALL}") from None
        except subprocess.TimeoutExpired:
            raise EngineFailed(f"{shown} did not end within {timeout:g} s. Run the same command again.") from None
        self._raise_if_failed(arguments, ended.returncode, ended.stderr)
        return str(ended.stdout)

    def _change(self, *arguments: str) -> None:
        """Run a command that changes something. Raises EngineFailed with what it says on stderr."""
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
            self._started(arguments, subprocess.DEVNULL, said) as process,
            waiting_for(_shown(arguments, self.stack)),
        ):
            process.wait()
            said.seek(0)
            self._raise_if_failed(arguments, process.returncode, said.read())

    def _raise_if_failed(self, arguments: Sequence[str], code: int, said: str) -> None:
        if code == 0:
            return
        if (found := NO_STACK.search(said)) and (unknown := self._unknown(found[1])):
            raise unknown
        why = said.strip().removesuffix(".")
        shown = _shown(arguments, self.stack)
        raise EngineFailed(f"{shown} failed: {why}. Correct that, then run the same command again.")

    def _unknown(self, name: str | None) -> StackUnknown | None:
        """The error of a stack that is not there, None if the backend lists it. name: None if none is selected."""
        try:
            known = replace(self, stack=None).stacks()
        except EngineFailed:
            return None
        if name in known:
            return None
        said = f"There is no stack {quoted(name)}" if name else "No stack is selected"
        if not known:
            return StackUnknown(
                f"{said}: the state backend has none of this project.",
                "Make one: python -m provisioning init; or is PULUMI_BACKEND_URL another one than its maker's?",
            )
        close = difflib.get_close_matches(name or "", known, n=1)
        nearest = f"; the nearest is {quoted(close[0])}" if close else ""
        remedy = "Name one of them:" if name else "Select one (pulumi stack select <name>), or name it:"
        return StackUnknown(f"{said}. There are: {listed(known)}{nearest}.", f"{remedy} --stack <name>")

    @contextmanager
    def _started(
        self, arguments: Sequence[str], stdout: int | None = None, stderr: IO[str] | int | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a command that changes something: it is waited for also where the person presses Ctrl-C.

        It has got that signal too, finishes its present step and saves its state.
        """

        def start() -> subprocess.Popen[str]:
            try:
                return subprocess.Popen(
                    self._command(arguments),
                    stdout=stdout,
                    stderr=stderr,
                    # A terminal's Ctrl-C would count a second time for those that are told to end.
                    start_new_session=self.engines is not None,
                    **self._surroundings,
                )
            except FileNotFoundError:
                raise EngineFailed(f"{NOT_FOUND} {INSTALL}") from None

        with (self.engines or Engines()).running(start) as process:
            try:
                yield process
            finally:
                _wait_out(process)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [self.command, *arguments, "--non-interactive", *(["--stack", self.stack] if self.stack else [])]

    @property
    def _surroundings(self) -> dict[str, Any]:
        """What every process gets. `pulumi` writes UTF-8, whatever the locale says."""
        return {
            "cwd": self.folder,
            "env": {**os.environ, **STREAMED_PREVIEW, **self.environment},
            "stdin": subprocess.DEVNULL,
            "encoding": "utf-8",
            "errors": "replace",
        }


def _shown(arguments: Sequence[str], stack: str | None) -> str:
    """The command to copy, without values, which may come from outside, and without showing secrets."""
    words = [word for word in takewhile(COMMAND.fullmatch, arguments) if word != "--show-secrets"]
    named = ["--stack", stack] if stack and STACK_NAME.fullmatch(stack) else []
    return f"`pulumi {' '.join([*words, *named])}`"


def _wait_out(process: subprocess.Popen[str]) -> None:
    """Wait until a process has ended, whatever signals come meanwhile. What it still prints is left aside."""
    while process.poll() is None:
        try:
            for _ in process.stdout or ():
                pass
            process.wait()
        except KeyboardInterrupt:
            continue
    if process.stdout is not None:
        process.stdout.close()


def _of_project(entries: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The entries of a configuration that are the project's own, without its name."""
    # Providers have keys of their own (`azuread:…`); this one is always there, be it by its default.
    prefix = next((name.removesuffix(NEEDED_KEY) for name in entries if name.endswith(f":{NEEDED_KEY}")), ":")
    return {name.removeprefix(prefix): entry for name, entry in entries.items() if name.startswith(prefix)}


def _of_provider(provider: str, entries: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: entry for name, entry in entries.items() if name.startswith(f"{provider}:")}


def _values(entries: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    return {name: str(entry.get("value", "")) for name, entry in entries.items()}


def plain(value: Any) -> Any:
    """A checkpoint's value without the engine's wrapping of secrets: the secret, or None where it is encrypted."""
    if isinstance(value, dict):
        if SECRET in value:
            return json.loads(value["plaintext"]) if "plaintext" in value else None
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
