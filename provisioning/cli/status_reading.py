"""Reads each stack for `status`: its state, its logins, then Entra ID and NocoBase, compared with the state.

Imported by the command only when it runs: what it imports takes longer than `--help`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from provisioning.cli.remedies import for_stack
from provisioning.entra.sign_in_settings import NAMESPACE, TENANT, names_a_sign_in, use_configuration, use_tenant
from provisioning.errors import ProvisioningError, SettingsError, StackUnknown
from provisioning.fleet.logins import Addresses, addresses, comparable, deployed_and_configured, granted
from provisioning.nocobase.login import NocoBaseLogin, StoredLogins, stored_logins
from provisioning.program.last_state import Deployed, read_state
from provisioning.pulumi_cli import STACK_NAME, Checkpoint, Pulumi
from provisioning.status import compare, read
from provisioning.status.compare import Overview
from provisioning.status.read import Unread
from provisioning.waiting import answers_of, begin

AT_ONCE = 4
"""Stacks that are read side by side."""


@dataclass(frozen=True)
class Read:
    """One stack: its overview, or why it could not be read."""

    stack: str
    view: Overview | None
    alarms: tuple[str, ...]
    unknown: bool = False
    """Whether there is no such stack."""

    @property
    def places(self) -> Addresses:
        """Where the NocoBases of a stack are that cannot be read is not known."""
        return {}


@dataclass(frozen=True)
class _Exported:
    """A stack's state, where its NocoBases are or are to be, and its configuration of the sign-in.

    config: None if Entra ID and NocoBase are not to be asked.
    """

    engine: Pulumi
    checkpoint: Checkpoint
    state: Deployed
    places: Addresses
    config: Mapping[str, str] | None


def read_stacks(names: Sequence[str], everything: bool, offline: bool, moment: datetime, warn_days: int) -> list[Read]:
    """Each of the stacks, compared with what there is. everything: whether these are all of the project.

    Raises ProvisioningError if a stack that was asked for by name is not there.
    """
    # No login is sent anywhere before every address is known.
    exported = answers_of([partial(_export, name, offline) for name in names], AT_ONCE)
    if not everything and isinstance(exported[0], Read) and exported[0].unknown:
        raise ProvisioningError(*exported[0].alarms)
    places = {name: found.places for name, found in zip(names, exported, strict=True)}
    one = partial(_read, places=places, own_sign_ins=everything, moment=moment, warn_days=warn_days)
    return answers_of([partial(one, found) for found in exported], AT_ONCE)


def _export(name: str, offline: bool) -> _Exported | Read:
    """What is read of one stack first; whatever goes wrong with it is its own answer and stops no other."""
    try:
        engine = Pulumi(name)
        configured = None if offline else begin(lambda: engine.configuration_with(NAMESPACE))
        checkpoint = engine.export(show_secrets=True)
        state = read_state(checkpoint.outputs, name)
        deployed = {push.logins[0]: comparable(push.url) for push in state.pushes}
        if configured is None:
            return _Exported(engine, checkpoint, state, deployed, None)
        own, sign_in = configured.result()
        places = deployed_and_configured(deployed, addresses(own))
        return _Exported(engine, checkpoint, state, places, sign_in)
    except ProvisioningError as error:
        return Read(name, None, (str(error),), isinstance(error, StackUnknown))
    except Exception as error:  # a state that nobody has foreseen must not hide the other stacks
        return _not_understood(name, error)


def _read(
    exported: _Exported | Read,
    places: Mapping[str, Addresses],
    own_sign_ins: bool,
    moment: datetime,
    warn_days: int,
) -> Read:
    """One stack, compared with what there is. places: the addresses of every stack that is read."""
    if isinstance(exported, Read):
        return exported
    engine, checkpoint, state, config = exported.engine, exported.checkpoint, exported.state, exported.config
    name = state.stack
    try:
        if config is None:
            sides = [read.OFFLINE for _ in state.pushes]
            view = compare.overview(state, read.OFFLINE, sides, moment, warn_days)
            return Read(name, view, with_commands(view.alarms, name))
        # After an interrupted first run there are no outputs yet.
        tenant = state.tenant_id or config.get(TENANT)
        if not own_sign_ins:
            # Of many stacks, side by side, the environment says who signs in, and where.
            use_configuration(config)
            use_tenant(state.tenant_id)
        elsewhere = read.elsewhere(state, tenant, own_sign_ins and names_a_sign_in(config))
        registration = begin(lambda: read.read_registration(state, elsewhere))
        principal = begin(lambda: read.read_principal(state, elsewhere))
        consent = begin(lambda: read.read_consent(state, principal.result()))
        duplicates = begin(lambda: read.read_duplicates(checkpoint, elsewhere))
        logins = _logins(engine, state, places, read.pushed_logins(checkpoint))
        held = [read.read_nocobase(push, login) for push, login in zip(state.pushes, logins, strict=True)]
        found = registration.result()
        extra = read.read_extra(
            engine,
            state,
            checkpoint,
            found=found,
            duplicates=duplicates.result(),
            principal=principal.result(),
            consent=consent.result(),
        )
        view = compare.overview(state, found, held, now=moment, warn_days=warn_days, extra=extra)
    except ProvisioningError as error:
        return Read(name, None, (str(error),))
    except Exception as error:  # as above
        return _not_understood(name, error)
    return Read(name, view, with_commands(view.alarms, name))


def with_commands(alarms: Sequence[str], stack: str) -> tuple[str, ...]:
    """The alarms of a stack, each with a command that is for this very stack, whichever is selected."""

    def complete(said: str) -> str:
        if NOT_READ in said and not NAMES_A_COMMAND.search(said):
            said = f"{said} To look closer: `doctor`" if said.endswith(".") else f"{said}: run `doctor`"
        return SHORT.sub("`python -m provisioning ", said) if STACK_NAME.fullmatch(stack) else said

    return tuple(for_stack(complete(said), stack) for said in alarms)


SHORT = re.compile(r"`(?=(?:doctor|prune|rotate|status)\b(?![^`]* --stack))")
"""Where a command of this program begins that is named without the program."""

NOT_READ = " is not read: "

NAMES_A_COMMAND = re.compile(r"`|pulumi config ")
"""In a reason that says what to do already. A remedy of NocoBase's may end with a command and nothing around it."""


def _not_understood(name: str, error: Exception) -> Read:
    return Read(name, None, (f"its state is not understood ({type(error).__name__})",))


def _logins(
    engine: Pulumi, state: Deployed, places: Mapping[str, Addresses], pushed: StoredLogins
) -> list[NocoBaseLogin | Unread | None]:
    """The login to the NocoBase of each push, or why it gets none.

    pushed: what the last push was given; its headers are taken.
    """

    def logins(stored: StoredLogins) -> list[NocoBaseLogin | Unread | None]:
        given = granted(state.stack, places, stored.keys, os.environ)
        variables = {**os.environ, **given.variables}
        found = [stored.first(push.logins, variables) for push in state.pushes]
        withheld = [given.withheld.get(push.logins[0]) for push in state.pushes]
        return [login or (Unread(why) if why else None) for login, why in zip(found, withheld, strict=True)]

    alone: list[NocoBaseLogin | Unread | None] = [None for _ in state.pushes]
    if len(places) == 1:
        # Among several stacks, a key of its own comes before the environment's.
        alone = logins(StoredLogins(headers=pushed.headers))
        if all(alone):
            return alone
    try:
        stored = stored_logins(engine.configuration()[0])
    except SettingsError as error:
        unreadable = Unread("; ".join(f"{problem.key}: {problem.why}" for problem in error.problems))
        return [login or unreadable for login in alone]
    return logins(replace(stored, headers=pushed.headers or stored.headers))
