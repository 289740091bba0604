"""Everything that `doctor` asks, in the order of a deployment and then of a sign-in."""

from __future__ import annotations

import os
import shlex
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.doctor import (
    account,
    application,
    client_secret,
    consent,
    engine,
    network,
    nocobase,
    secret_policy,
    sign_in_link,
    stack,
)
from provisioning.doctor.runner import Check, Finding, Outcome, Question, answer, failed, ok, warning
from provisioning.entra.account import Account
from provisioning.entra.sign_in_settings import NAMESPACE, sign_in_settings, use_configuration, use_tenant
from provisioning.errors import EngineFailed
from provisioning.nocobase.login import stored_logins
from provisioning.program import redirect_uris
from provisioning.pulumi_cli import NEEDED_KEY, Pulumi
from provisioning.waiting import waiting_for

if TYPE_CHECKING:
    from provisioning.entra.registration import Registration
    from provisioning.nocobase.login import NocoBaseLogin
    from provisioning.nocobase.sign_in_link import SignIn
    from provisioning.program.last_state import Application, Deployed, Push
    from provisioning.program.settings import Settings

ON_THE_SERVER = f"ssh <NocoBase's server> python3 - < {shlex.quote(os.path.relpath(Path(network.__file__)))}"
"""Asks from the machine that has to reach Microsoft; nothing needs to be installed there."""

MAIL = ("imap", "smtp", *network.PERSONAL)
"""What only NocoBase's server has to reach."""


def questions(name: str | None, addresses: Mapping[str, str], now: datetime) -> list[Question]:
    """What is asked. The stack's state is read at once, and from now on this process signs in as the stack does.

    name: of the stack, None for the selected one. addresses: those of Microsoft that are not the usual ones. now: the
    time by which secrets are planned.
    """
    pulumi = Pulumi(name)
    state = answer(lambda: ok("", stack.read_deployment(pulumi)))
    deployment = answer(stack.check_deployment, state.value) if state.usable else state
    deployed: Deployed | None = deployment.value
    configured: Mapping[str, str] = {}
    with suppress(EngineFailed):  # a check of its own tells of that
        configured = pulumi.configuration_of(NAMESPACE)
        use_configuration(configured)
    if deployed and not sign_in_settings()["tenantId"]:  # as `pulumi up` would sign in, where a setting names one
        use_tenant(deployed.tenant_id)

    def ask_backend(_: Any) -> Finding:
        configured = stack.ask_stack(pulumi).value
        here = configured is not None and stack.only_here(configured.values.get(NEEDED_KEY))
        return engine.ask_backend(here)

    def ask_secrets_provider(found: stack.Stack) -> Finding:
        return engine.ask_secrets(found.name, stack.only_here(found.values.get(NEEDED_KEY)))

    def ask_account() -> Finding:
        signed_in = account.ask_account()
        return account.check_last_sign_in(signed_in, deployed.sign_in, configured) if deployed else signed_in

    def ask_rights(who: Account, settings: Settings) -> Finding:
        return account.ask_rights(who, settings.tenant_consent, settings.owners)

    def ask_policy(_: Account, settings: Settings) -> Finding:
        known = deployed.application if deployed else None
        return secret_policy.ask_policy(known.object_id if known else None, settings)

    def ask_consent_policy(_: Account, settings: Settings) -> Finding:
        return consent.ask_rule(settings, deployed is not None)

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
        Question("secrets provider", ask_secrets_provider, ("stack",)),
        Question("settings", stack.check_settings, ("stack",)),
        Question("deployment", lambda _: deployment, ("stack",)),
        Question("sign-in", ask_account),
        Question("rights in Entra ID", ask_rights, ("sign-in", "settings")),
        Question("policy on secrets", ask_policy, ("sign-in", "settings")),
        Question("policy on consent", ask_consent_policy, ("sign-in", "settings")),
        *_of_application(now),
        Question("NocoBase", nocobase.ask_server, ("settings",)),
        Question("email manager", ask_plugins, ("NocoBase", "settings")),
        Question("login to NocoBase", ask_login, ("NocoBase", "stack", "settings")),
        Question("API key", lambda login: nocobase.check_login_life(login, now), ("login to NocoBase",)),
        Question("rights in NocoBase", ask_role, ("email manager", "login to NocoBase", "settings")),
        *_of_installations(deployed, state.value),
        Question("consent", consent.ask_consent, ("service principal", "settings", "policy on consent")),
        *(_network_question(endpoint, addresses.get(endpoint)) for endpoint in network.ENDPOINTS),
    ]


def _of_application(now: datetime) -> list[Question]:
    """What is asked of the application in Entra ID."""

    def ask_application(_: Account, state: Deployed, settings: Settings) -> Finding:
        return application.ask_application(_application(state).object_id, settings, state)

    def check_permissions(found: Registration, settings: Settings) -> Finding:
        return application.check_permissions(application.declared_by(settings), found)

    def check_redirect_uris(found: Registration, settings: Settings, state: Deployed) -> Finding:
        planned, deployed = redirect_uris.plan_of(settings, state).uris, _application(state).declared.redirect_uris
        declared = replace(application.declared_by(settings), redirect_uris=frozenset(planned))
        return application.check_redirect_uris(declared, found, deployed)

    def check_openings(found: Registration, settings: Settings, state: Deployed) -> Finding:
        return application.check_openings(state, application.declared_by(settings), found)

    def ask_principal(_: Account, state: Deployed, settings: Settings) -> Finding:
        return application.ask_principal(_application(state).client_id, settings, state)

    def ask_secrets(state: Deployed) -> Finding:
        return client_secret.ask_secrets(state, _application(state), now)

    return [
        Question("application", ask_application, ("sign-in", "deployment", "settings")),
        Question("permissions", check_permissions, ("application", "settings")),
        Question("redirect URIs", check_redirect_uris, ("application", "settings", "deployment")),
        Question("open to others", check_openings, ("application", "settings", "deployment")),
        Question("service principal", ask_principal, ("sign-in", "deployment", "settings")),
        Question("owner", application.ask_owners, ("sign-in", "application", "settings")),
        Question("client secret", ask_secrets, ("deployment",)),
    ]


def _of_installations(deployed: Deployed | None, state: Deployed | None) -> list[Question]:
    """What is asked of each NocoBase that was given credentials; of the main one before the first deployment.

    state: what is known of a stack that was not deployed to its end, too; None if that could not be read.
    """
    if deployed is None:
        asked = _of_installation(MAIN_PUSH, "", with_link=True)
        return asked if state is None else [_before_the_first_push(state), *asked[1:]]
    return [
        question
        for push in deployed.pushes
        for question in _of_installation(
            push.name,
            f" ({push.name})" if len(deployed.pushes) > 1 else "",
            with_link=push.mapping.verify_action != "none",
        )
    ]


def _before_the_first_push(state: Deployed) -> Question:
    """Whether the first push would be rejected for what NocoBase holds."""
    own = state.application.client_id if state.application else None

    def ask(_: Any, login: NocoBaseLogin, settings: Settings) -> Finding:
        return nocobase.ask_before_push(login, settings, own)

    return Question("email settings", ask, ("rights in NocoBase", "login to NocoBase", "settings"))


def _of_installation(name: str, of: str, with_link: bool) -> list[Question]:
    """What is asked of one NocoBase. name: its push's. of: how the questions name it, where there are several."""

    def asked(state: Deployed, configured: stack.Stack) -> tuple[Push, NocoBaseLogin | None]:
        push = next(push for push in state.pushes if push.name == name)
        return push, stored_logins(configured.values).first(push.logins)

    def ask_row(state: Deployed, configured: stack.Stack, *_: Any) -> Finding:
        return nocobase.ask_row(state, *asked(state, configured))

    def ask_link(state: Deployed, configured: stack.Stack, *_: Any) -> Finding:
        return nocobase.ask_link(*asked(state, configured))

    def check_client_id(found: SignIn, state: Deployed) -> Finding:
        return sign_in_link.check_client_id(found, _application(state).client_id)

    def check_redirect_uri(found: SignIn, registered: Registration) -> Finding:
        return sign_in_link.check_redirect_uri(found, registered.redirect_uris)

    def check_scopes(found: SignIn, settings: Settings) -> Finding:
        return sign_in_link.check_scopes(found, settings.scopes)

    def check_page(found: SignIn, settings: Settings, state: Deployed) -> Finding:
        return sign_in_link.check_page(found, settings.audience, state.tenant_id)

    # The main one's login is a question of its own, which must not fail twice; the others do not depend on it.
    needs = ("deployment", "stack", *(("login to NocoBase",) if name == MAIN_PUSH else ()))
    link = f"sign-in link{of}"
    row = Question(f"email settings{of}", ask_row, needs)
    if not with_link:
        return [row]
    return [
        row,
        Question(link, ask_link, needs),
        Question(f"{link}: client ID", check_client_id, (link, "deployment")),
        Question(f"{link}: redirect URI", check_redirect_uri, (link, "application")),
        Question(f"{link}: scopes", check_scopes, (link, "settings")),
        Question(f"{link}: tenant", check_page, (link, "settings", "deployment")),
    ]


MAIN_PUSH = "nocobase"
"""The name of the push into the NocoBase that `nocobaseUrl` names."""


def _application(state: Deployed) -> Application:
    """That of a stack whose deployment was completed, as the check 'deployment' has found."""
    assert state.application is not None
    return state.application


def _network_question(endpoint: str, address: str | None) -> Question:
    def ask(settings: Settings | None = None) -> Finding:
        if settings and not settings.audience.personal:
            return ok(f"not needed: no personal accounts in the audience {settings.audience}")
        where = address or _address(endpoint)
        with waiting_for(where, limit):
            return check_reach(network.reach(endpoint, where, network.TIMEOUT_SECONDS, _tls()))

    needs = ("settings",) if endpoint in network.PERSONAL else ()
    limit = 3 * network.TIMEOUT_SECONDS
    return Question(f"network: {endpoint}", ask, needs, limit)


def check_reach(answer: network.Reach) -> Finding:
    """What it means that this machine, which need not be NocoBase's server, reaches an endpoint or not."""
    if answer.reached:
        return ok(answer.said)
    if answer.name not in MAIL:
        return failed(answer.said, answer.remedy)
    whose = " and personal mailboxes are to connect" if answer.name in network.PERSONAL else ""
    said = f"{answer.said}; that counts if NocoBase's server does not reach it either{whose}"
    return warning(said, f"Ask from there: {ON_THE_SERVER}")


def network_only(addresses: Mapping[str, str], timeout: float) -> list[Check]:
    """Whether this very machine reaches everything."""
    with waiting_for(", ".join(addresses.values()), 3 * timeout):
        answers = network.reach_all(addresses, timeout)
    return [Check(answer.name, _verdict(answer), answer.said, answer.remedy or None) for answer in answers]


def _verdict(answer: network.Reach) -> Outcome:
    if answer.reached:
        return Outcome.OK
    return Outcome.WARNING if answer.name in network.PERSONAL else Outcome.FAILED


def _address(endpoint: str) -> str:
    """Where the cloud that the environment describes has it."""
    if endpoint in MAIL or not sign_in_settings()["metadataHost"]:
        return network.ENDPOINTS[endpoint]
    from provisioning.entra import microsoft_graph  # noqa: PLC0415 - seconds of imports

    cloud = microsoft_graph.find_cloud()
    return cloud.login if endpoint == "sign-in" else cloud.graph


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
