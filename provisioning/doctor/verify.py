"""What `verify` asks, in the order in which a sign-in meets it: application, secret, NocoBase, consent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioning.doctor import chain
from provisioning.doctor.registration import declared_by
from provisioning.doctor.runner import Finding, Question, failed, ok
from provisioning.entra.registration import Registration
from provisioning.errors import DirectoryUnreadable
from provisioning.nocobase.login import NocoBaseLogin, missing_login
from provisioning.nocobase.push import SignIn
from provisioning.program.last_state import Application, Deployed, Push
from provisioning.status import read

if TYPE_CHECKING:
    from provisioning.program.settings import Settings

Logins = Mapping[str, NocoBaseLogin]
"""By the installation's name."""


def questions(state: Deployed, application: Application, settings: Settings, logins: Logins) -> list[Question]:
    """The questions about a stack that was deployed. application: that of `state`. logins: by installation."""
    declared, consent_url = declared_by(settings), state.consent_url or "the output adminConsentUrl"

    def ask_application() -> Finding:
        from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

        return chain.judge_application(declared, directory.registration(application.object_id))

    def ask_principal() -> Finding:
        from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

        return chain.judge_principal(directory.principal(application.client_id))

    def ask_secrets() -> Finding:
        from provisioning.entra import token_check  # noqa: PLC0415 - azure-identity takes its time

        used = [secret for secret in state.secrets if state.used_by(secret)]
        tenant = state.tenant_id or ""
        return chain.judge_secrets(
            [(secret, token_check.rejection(tenant, application.client_id, secret.value or "")) for secret in used]
        )

    def ask_consent(principal: str) -> Finding:
        from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

        try:
            grants = directory.grants(principal)
        except DirectoryUnreadable as error:
            return chain.judge_unreadable_consent(error, consent_url)
        return chain.judge_consent(settings.scopes, grants, settings.audience, settings.tenant_consent, consent_url)

    def judge_permissions(found: Registration) -> Finding:
        return chain.judge_permissions(declared, found)

    def judge_redirect_uris(found: Registration) -> Finding:
        return chain.judge_redirect_uris(declared, found)

    return [
        Question("application", ask_application),
        Question("permissions", judge_permissions, ("application",)),
        Question("redirect URIs", judge_redirect_uris, ("application",)),
        Question("service principal", ask_principal),
        Question("client secret", ask_secrets),
        *(
            question
            for push in state.pushes
            for question in _of_nocobase(state, push, settings, logins, application.client_id)
        ),
        Question("consent", ask_consent, ("service principal",)),
        Question("consent for all", lambda: ok(f"an administrator of the tenant may give it at {consent_url}")),
    ]


def _of_nocobase(state: Deployed, push: Push, settings: Settings, logins: Logins, client_id: str) -> list[Question]:
    """What is asked of one NocoBase; where there are several, each question names the one that it is about."""
    of = f" ({push.name})" if len(state.pushes) > 1 else ""
    link = f"sign-in link{of}"
    login = logins.get(push.logins[0])

    if login is None:
        problem = missing_login(push.logins[0])
        return [Question(f"NocoBase{of}", lambda: failed(problem.why, problem.remedy))]

    def ask_row() -> Finding:
        return chain.judge_row(state, push, read.read_row(push, login))

    def ask_link() -> Finding:
        return chain.judge_link(push, read.read_link(push, login) or SignIn(None, None))

    def judge_redirect(found: SignIn, registered: Registration) -> Finding:
        return chain.judge_link_redirect(found, registered.redirect_uris)

    def judge_client(found: SignIn) -> Finding:
        return chain.judge_link_client(found, client_id)

    def judge_scopes(found: SignIn) -> Finding:
        return chain.judge_link_scopes(found, settings.scopes)

    def judge_tenant(found: SignIn) -> Finding:
        return chain.judge_link_tenant(found, settings.audience, state.tenant_id)

    if push.mapping.verify_action == "none":
        return [Question(f"NocoBase{of}", ask_row)]
    return [
        Question(f"NocoBase{of}", ask_row),
        Question(link, ask_link),
        Question(f"{link}: client ID", judge_client, (link,)),
        Question(f"{link}: redirect URI", judge_redirect, (link, "application")),
        Question(f"{link}: scopes", judge_scopes, (link,)),
        Question(f"{link}: tenant", judge_tenant, (link,)),
    ]
