"""Which stack's NocoBase a login in the environment is for, where a command works on several stacks. Pure.

A login is sent to one address only. So a variable that could be meant for NocoBases at different addresses is given to
none of them; each stack then needs variables that have its name: NOCOBASE_API_KEY_<STACK> for its main installation,
NOCOBASE_API_KEY_<STACK>__<NAME> for a further one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from provisioning.addresses import AddressRejected, normalized_address
from provisioning.nocobase.installation import MAIN
from provisioning.nocobase.login import LOGIN_VARIABLES, stored_key_options, variable_suffix

Addresses = Mapping[str, str]
"""The address of each NocoBase of one stack, by the installation's name; empty if they are not known."""


@dataclass(frozen=True)
class Granted:
    """What one stack gets of the environment's logins.

    variables: the login variables by the names that the program reads; those that are not for this stack are empty.
    withheld: why an installation without any other login does not get the environment's, by the installation's name.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    withheld: Mapping[str, str] = field(default_factory=dict)


def any_login(environment: Mapping[str, str]) -> bool:
    """Whether the environment has a login to any NocoBase."""
    return bool(_by_suffix(environment))


def addresses(config: Mapping[str, str]) -> dict[str, str]:
    """Where the NocoBases of a stack with this configuration are. What is no address stays as it is."""
    try:
        further = json.loads(config.get("nocobaseInstallations") or "[]")
    except ValueError:
        further = []
    found = {MAIN: config.get("nocobaseUrl", "")}
    for one in further if isinstance(further, list) else ():
        match one:
            case {"name": str(name), "url": str(url)}:
                found[name] = url
    return {name: comparable(url) for name, url in found.items()}


def deployed_and_configured(deployed: Addresses, configured: Addresses) -> dict[str, str]:
    """Where the NocoBases of a stack are by its state, and are to be by its configuration.

    One that is to move counts as an address of its own: a login may be meant for the old one or for the new one.
    """
    found = {
        name: " → ".join(dict.fromkeys(of[name] for of in (deployed, configured) if of.get(name)))
        for name in {**deployed, **configured}
    }
    return {name: address for name, address in found.items() if address}


def comparable(url: str) -> str:
    """The spelling in which the address of a NocoBase is compared with others."""
    try:
        return normalized_address(url)
    except AddressRejected:
        return url


def granted(
    stack: str, stacks: Mapping[str, Addresses], own: Collection[str], environment: Mapping[str, str]
) -> Granted:
    """What `stack` gets of the logins in the environment.

    stacks: all that the command works on, by the backend's names; one whose addresses are not known counts as one at
    addresses of its own. own: the installations for which the stack's
    configuration has a key. Among several stacks that key comes before a login that does not name the stack.
    """
    logins = _by_suffix(environment)
    names = [_named(each) for each in stacks]
    alone = len(stacks) == 1
    keys = {variable_suffix(name) for name in own}
    named: dict[str, Mapping[str, str]] = {}
    shared: dict[str, Mapping[str, str]] = {}
    denied: dict[str, str] = {}
    for suffix, login in logins.items():
        meant = [(each, it, at) for each, of in stacks.items() for it, at in _meant(each, of, suffix, names).items()]
        for installation in (it for each, it, _ in meant if each == stack):
            if len({address for *_, address in meant}) > 1:
                denied[installation] = next(iter(login)) + suffix
            else:
                (shared if installation == suffix else named)[installation] = login
    # Among several stacks nothing is left of what others are meant to have.
    hidden = {suffix: login for suffix, login in logins.items() if not alone or suffix in named}
    given = named if alone else {**{it: login for it, login in shared.items() if it not in keys}, **named}
    variables = {f"{name}{suffix}": "" for suffix, login in hidden.items() for name in login}
    variables |= {f"{name}{suffix}": value for suffix, login in given.items() for name, value in login.items()}
    has_login = {*named, *shared, *keys}
    of_main = stacks[stack].get(MAIN) if variable_suffix(MAIN) in has_login else None
    withheld = {
        name: _why(stack, name, denied[variable_suffix(name)])
        for name, address in stacks[stack].items()
        if not alone and variable_suffix(name) in denied.keys() - has_login and address != of_main
    }
    return Granted(variables, withheld)


def _by_suffix(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The login variables that have a value: what is behind their common names → common name → value."""
    found: dict[str, dict[str, str]] = {}
    for key, value in environment.items():
        for name in LOGIN_VARIABLES:
            suffix = key.removeprefix(name)
            if value and key.startswith(name) and (not suffix or suffix.startswith("_")):
                found.setdefault(suffix, {})[name] = value
    return found


def _meant(stack: str, of_stack: Addresses, suffix: str, stacks: Collection[str]) -> dict[str, str]:
    """The NocoBases of a stack that a variable with this suffix can be meant for: suffix of each → its address.

    stacks: the suffixes that name a stack.
    """
    known = {variable_suffix(name): address for name, address in of_stack.items()}
    if not of_stack and not any(suffix == name or suffix.startswith(f"{name}__") for name in stacks):
        # It may have an installation of any name.
        known[suffix] = f"{suffix} of {stack}"
    meant = {suffix: known[suffix]} if suffix in known else {}
    if suffix == _named(stack):
        meant[""] = known.get("", f"main of {stack}")
    elif suffix.startswith(f"{_named(stack)}__"):
        further = suffix.removeprefix(f"{_named(stack)}_")
        # One that the stack does not declare any more is still to be emptied.
        meant[further] = known.get(further, f"{further} of {stack}")
    return meant


def _named(stack: str) -> str:
    """The suffix of the variables that name a stack: capitals, and `_` for what a variable's name may not have."""
    return "_" + re.sub(r"[^A-Z0-9]", "_", stack.rpartition("/")[2].upper())


def _why(stack: str, installation: str, variable: str) -> str:
    named = LOGIN_VARIABLES[0] + _named(stack) + (f"_{variable_suffix(installation)}" if installation else "")
    store = f"`pulumi config set --stack {stack} {stored_key_options(installation)}`"
    remedy = f"Run {store}" if variable == named else f"Set {named}, or run {store}"
    return f"no key of its own: {variable} can be meant for different addresses, and is sent to none of them. {remedy}"
