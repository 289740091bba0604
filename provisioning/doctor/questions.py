"""Everything that `doctor` asks, in the order of a deployment: engine, stack, Entra ID, NocoBase, network."""

from __future__ import annotations

import os
import shlex
import ssl
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.doctor import account, engine, network, nocobase, registration, stack
from provisioning.doctor.runner import Check, Finding, Outcome, Question, failed, ok, warning
from provisioning.pulumi_cli import NEEDED_KEY, Pulumi

if TYPE_CHECKING:
    from provisioning.doctor.registration import Deployed
    from provisioning.nocobase.login import NocoBaseLogin
    from provisioning.program.settings import Settings

ON_THE_SERVER = f"ssh <NocoBase's server> python3 - < {shlex.quote(os.path.relpath(Path(network.__file__)))}"
"""Asks from the machine that has to reach Microsoft; nothing needs to be installed there."""

MAIL = ("imap", "smtp")
"""What only NocoBase's server has to reach."""


def questions(name: str | None, addresses: Mapping[str, str], now: datetime) -> list[Question]:
    """What is asked.

    name: of the stack, None for the selected one. addresses: those of Microsoft that are not the usual ones. now: the
    time by which secrets are planned.
    """
    pulumi = Pulumi(name)

    def ask_backend(_: Any) -> Finding:
        configured = stack.ask_stack(pulumi).value
        here = configured is not None and stack.only_here(configured.values.get(NEEDED_KEY))
        return engine.ask_backend(here)

    def ask_secrets(found: stack.Stack) -> Finding:
        return engine.ask_secrets(found.name, stack.only_here(found.values.get(NEEDED_KEY)))

    def ask_rights(who: account.Account, settings: Settings) -> Finding:
        return account.ask_rights(who, settings.tenant_consent)

    def ask_policy(_: account.Account, settings: Settings) -> Finding:
        deployed: Deployed | None = stack.ask_deployment(pulumi).value
        return registration.ask_policy(deployed.object_id if deployed else None, settings)

    def ask_registration(_: account.Account, deployed: Deployed, settings: Settings) -> Finding:
        return registration.ask_registration(deployed, settings)

    def ask_principal(_: account.Account, deployed: Deployed) -> Finding:
        return registration.ask_principal(deployed)

    def ask_login(_: Any, configured: stack.Stack, settings: Settings) -> Finding:
        return nocobase.ask_login(configured.values, settings)

    def ask_plugins(_: Any, settings: Settings) -> Finding:
        return nocobase.ask_plugins(settings)

    def ask_role(_: Any, login: NocoBaseLogin, settings: Settings) -> Finding:
        return nocobase.ask_role(login, settings)

    return [
        Question("engine", engine.ask_engine),
        Question("azuread plugin", lambda _: engine.ask_plugin(), ("engine",)),
        Question("state backend", ask_backend, ("engine",)),
        Question("stack", lambda _: stack.ask_stack(pulumi), ("engine",)),
        Question("secrets provider", ask_secrets, ("stack",)),
        Question("settings", stack.judge_settings, ("stack",)),
        Question("deployment", lambda _: stack.ask_deployment(pulumi), ("stack",)),
        Question("sign-in", account.ask_account),
        Question("rights in Entra ID", ask_rights, ("sign-in", "settings")),
        Question("policy on secrets", ask_policy, ("sign-in", "settings")),
        Question("application", ask_registration, ("sign-in", "deployment", "settings")),
        Question("service principal", ask_principal, ("sign-in", "deployment")),
        Question("owner", registration.ask_owners, ("sign-in", "application")),
        Question("client secret", lambda deployed: registration.judge_secret(deployed, now), ("deployment",)),
        Question("NocoBase", nocobase.ask_server, ("settings",)),
        Question("email manager", ask_plugins, ("NocoBase", "settings")),
        Question("login to NocoBase", ask_login, ("NocoBase", "stack", "settings")),
        Question("API key", lambda login: nocobase.judge_login_life(login, now), ("login to NocoBase",)),
        Question("rights in NocoBase", ask_role, ("email manager", "login to NocoBase", "settings")),
        *(_network_question(endpoint, addresses.get(endpoint)) for endpoint in network.ENDPOINTS),
    ]


def _network_question(endpoint: str, address: str | None) -> Question:
    def ask() -> Finding:
        return judge_reach(network.reach(endpoint, address or _address(endpoint), network.TIMEOUT_SECONDS, _tls()))

    return Question(f"network: {endpoint}", ask, limit=3 * network.TIMEOUT_SECONDS)


def judge_reach(answer: network.Reach) -> Finding:
    """What it means that this machine, which need not be NocoBase's server, reaches an endpoint or not."""
    if answer.reached:
        return ok(answer.said)
    if answer.name not in MAIL:
        return failed(answer.said, answer.remedy)
    said = f"{answer.said}; that counts if NocoBase's server does not reach it either"
    return warning(said, f"Ask from there: {ON_THE_SERVER}")


def network_only(addresses: Mapping[str, str], timeout: float) -> list[Check]:
    """Whether this very machine reaches everything."""
    return [
        Check(answer.name, Outcome.OK if answer.reached else Outcome.FAILED, answer.said, answer.remedy or None)
        for answer in network.reach_all(addresses, timeout)
    ]


def _address(endpoint: str) -> str:
    """Where the cloud that the environment describes has it."""
    if endpoint in MAIL or not os.environ.get("ARM_METADATA_HOSTNAME"):
        return network.ENDPOINTS[endpoint]
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    cloud = directory.find_cloud()
    return cloud.login if endpoint == "sign-in" else cloud.graph


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
