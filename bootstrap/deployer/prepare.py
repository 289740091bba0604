"""What is validated and planned before anything is declared: the settings, who signs in, and who owns the identities.

The order is that of the main program, and so are the rules: a run adds its caller to the owners and drops nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi

from deployer import federation, left_behind
from deployer import settings as deployer_settings
from deployer.federation import Trust
from deployer.left_behind import TRUST_TYPE, LeftBehind, resource_name
from deployer.settings import Identity, Settings
from provisioning.ending import end_with
from provisioning.entra.ownership import Owners, Wanted
from provisioning.program import stack
from provisioning.program.caller import Caller, sign_in
from provisioning.program.last_state import Resources, read_state
from provisioning.program.owners import plan_ownership, without_gone


@dataclass(frozen=True)
class Planned:
    """What one run declares of one identity.

    owners, principal_owners: of the application and of its service principal. left_behind: what it takes over.
    """

    identity: Identity
    owners: Owners
    principal_owners: Owners
    left_behind: LeftBehind


@dataclass(frozen=True)
class Run:
    """What one run declares. preview: None if no job needs one."""

    caller: Caller
    deployer: Planned
    preview: Planned | None


def prepare() -> Run:
    """Validate the settings, sign in, and plan the owners.

    Raises Ended with a sentence for what ends the run.
    """
    with stack.errors_as_sentences():
        settings = deployer_settings.load(deployer_settings.configuration())
        caller = sign_in()
        recorded = stack.last_resources()
        deployer = with_earlier(settings, recorded)
        planned = [_plan(one, settings, caller, recorded) for one in (deployer, *settings.identities[1:])]
    return Run(caller, planned[0], planned[1] if planned[1:] else None)


def _plan(identity: Identity, settings: Settings, caller: Caller, recorded: Resources) -> Planned:
    last = read_state(recorded, name=identity.name)
    wanted = Wanted(caller.object_id, settings.owners, settings.former_owners, caller.application)
    wanted, warnings = without_gone(wanted, last)
    owners, principal_owners, warning = plan_ownership(wanted, last)
    left = left_behind.find(identity, last, recorded)
    for said in (*warnings, *([warning] if warning else [])):
        pulumi.warn(f"{identity.application_name}: {said}")
    return Planned(identity, owners, principal_owners, left)


def with_earlier(settings: Settings, recorded: Resources) -> Identity:
    """The deployer, with the trusts of an earlier version that the state has and the settings keep; says so.

    A trust that a job still uses must not go before the pipelines are switched. Raises Ended if they do not fit.
    """
    deployer = settings.deployer
    kept = kept_trusts(settings, recorded)
    if not kept:
        return deployer
    whole = replace(deployer, trusts=(*deployer.trusts, *kept))
    remedy = "Once the pipelines are switched (README.md): pulumi config set keepEarlierTrusts false, then pulumi up"
    if reason := federation.why_invalid_trusts(whole.trusts):
        end_with(
            f"{reason} {len(kept)} of them are of an earlier version, and pipelines may still use them: "
            f"{_listed(kept)}. {remedy}."
        )
    pulumi.warn(f"The deployer still trusts jobs that an earlier version had it trust: {_listed(kept)}. {remedy}.")
    return whole


def kept_trusts(settings: Settings, recorded: Resources) -> tuple[Trust, ...]:
    """The trusts of an earlier version that the state has and the settings keep. Pure."""
    if not settings.keep_earlier_trusts:
        return ()
    name = settings.deployer.name
    return tuple(
        trust for trust in settings.earlier_trusts if (TRUST_TYPE, resource_name(name, trust.name)) in recorded
    )


def _listed(trusts: tuple[Trust, ...]) -> str:
    return ", ".join(trust.shown for trust in trusts)
