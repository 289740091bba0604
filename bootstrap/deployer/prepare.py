"""What is validated and planned before anything is declared: the settings, who signs in, and who owns the deployer.

The order is that of the main program, and so are the rules: a run adds its caller to the owners and drops nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from deployer import left_behind
from deployer import settings as deployer_settings
from deployer.left_behind import LeftBehind
from deployer.settings import Settings
from provisioning.entra.ownership import Owners, Wanted
from provisioning.program import stack
from provisioning.program.caller import Caller, sign_in
from provisioning.program.last_state import read_state
from provisioning.program.prepare import plan_ownership


@dataclass(frozen=True)
class Run:
    """What one run declares.

    owners, principal_owners: of the application and of its service principal. left_behind: what it takes over.
    """

    settings: Settings
    caller: Caller
    owners: Owners
    principal_owners: Owners
    left_behind: LeftBehind


def prepare(name: str) -> Run:
    """Validate the settings, sign in, and plan the owners. name: of the deployer's resources.

    Raises RunError with a sentence for what ends the run.
    """
    stack.end_quietly_when_told()
    try:
        settings = deployer_settings.load(*deployer_settings.configuration())
    except deployer_settings.SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    with stack.errors_as_sentences():
        caller = sign_in()
        recorded = stack.last_resources()
        last = read_state(recorded, name=name)
        wanted = Wanted(caller.object_id, settings.owners, settings.former_owners, caller.application)
        owners, principal_owners, warning = plan_ownership(wanted, last)
        left = left_behind.find(name, settings, last, recorded)
    if warning:
        pulumi.warn(warning)
    return Run(settings, caller, owners, principal_owners, left)
