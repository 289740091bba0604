"""The stack: which one, is its configuration valid, and was it deployed?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from provisioning.addresses import is_loopback
from provisioning.doctor.runner import Finding, failed, ok, skipped
from provisioning.errors import EngineFailed, SettingsError, StackUnknown
from provisioning.program.last_state import Deployed, read_state
from provisioning.pulumi_cli import Pulumi, settings_file

UNREADABLE = "the stack's secrets cannot be read (see 'secrets provider')"
"""Why what needs their values is skipped."""

LOGIN = "NOCOBASE_API_KEY"
"""How the key begins of the problem that there is no login; a check of its own tells it."""


@dataclass(frozen=True)
class Stack:
    """A stack and its own configuration.

    values: keys without the project's name, secrets in the clear if they open. missing_file: the name of its file of
    settings, if that is not in this folder.
    """

    name: str
    values: Mapping[str, str] = field(repr=False)
    secret_keys: frozenset[str] = frozenset()
    missing_file: str = ""


def only_here(nocobase_url: str | None) -> bool:
    """Whether NocoBase runs on this machine and for nobody else."""
    try:
        return is_loopback(urlsplit(nocobase_url or "").hostname or "")
    except ValueError:
        return False


RESTORE_SETTINGS = (
    "Was the stack deployed before? Then take its file from your repository, or the settings of the last run: "
    "pulumi config refresh"
)
"""For a new clone, say: settings made anew would change what the forgotten ones declared."""


def check_settings(stack: Stack) -> Finding:
    """Whether the settings are allowed, all of them at once."""
    from provisioning.program import validation  # noqa: PLC0415 - pydantic takes longer than the rest of this module

    found, wrong = validation.validate(stack.values, stack.secret_keys)
    try:
        validation.load(stack.values, stack.secret_keys)
    except SettingsError as error:
        wrong += [it for it in error.problems if it not in wrong and not it.key.startswith(LOGIN)]
    if found is None or wrong:
        said = " ".join(f"{problem.named}: {problem.why}" for problem in wrong)
        remedies = [f"{problem.key}: {problem.remedy}" for problem in wrong]
        if stack.missing_file:
            said = f"there is no {stack.missing_file} in this folder. {said}"
            remedies.insert(0, RESTORE_SETTINGS)
        return failed(said, "\n".join(remedies))
    return ok(f"{found.nocobase_url}, {found.audience}", found)


def ask_stack(engine: Pulumi) -> Finding:
    """Which stack is meant, and how is it configured?"""
    try:
        name = engine.name()
        try:
            values, secret_keys = engine.configuration()
        except EngineFailed:
            # The passphrase may be wrong, which a check of its own tells.
            values, secret_keys = engine.configuration(show_secrets=False)
    except StackUnknown as error:
        return failed(error.said, error.remedy)
    except EngineFailed as error:
        return failed(str(error), "pulumi stack select <name>, or pulumi stack init <name>; or name one by --stack.")
    file = settings_file(name)
    return ok(name, Stack(name, values, frozenset(secret_keys), "" if Path(file).is_file() else file))


def check_deployment(state: Deployed) -> Finding:
    """Whether the stack was deployed, and that completely."""
    if state.application is None and not state.pushes:
        return skipped("this stack has not been deployed yet", "pulumi up")
    if state.application is None or not state.pushes or state.next_rotation is None:
        return skipped("the deployment of this stack was not completed", "pulumi up")
    return ok(f"deployed, client ID {state.application.client_id}", state)


def read_deployment(engine: Pulumi) -> Deployed:
    """What the stack's state says; without its secrets where they cannot be read. Raises EngineFailed."""
    try:
        checkpoint = engine.export(show_secrets=True)
    except EngineFailed:
        # The passphrase may be wrong, which a check of its own tells.
        checkpoint = engine.export()
    return read_state(checkpoint.outputs, engine.name())
