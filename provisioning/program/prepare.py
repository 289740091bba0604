"""Everything between the stack's settings and its resources: what is validated, asked and planned before a change.

In this order: the settings are validated; the azuread provider says who signs in; NocoBase is asked before its first
push, before the first one at a new address, and before another audience is declared (`audience`); Entra ID is asked
before the first deployment, and when the plan changes owners or client secrets. An `up` without changes asks only who
signs in.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from provisioning.entra import rules
from provisioning.entra.client_secret_plan import SecretPlan, Slot
from provisioning.entra.consent import reject_other_consent
from provisioning.entra.other_applications import reject_namesakes
from provisioning.entra.tags import Tags, plan_tags, stack_tag
from provisioning.foreign import harmless
from provisioning.nocobase.installation import Configuration, Installation
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.preflight import check_audience, check_installations
from provisioning.nocobase.sign_in_link import Accounts
from provisioning.nocobase3.before_change import check, may_hold_unknown_secret, sign_in_pages
from provisioning.program import audience, owners, redirect_uris, stack, validation
from provisioning.program.caller import Caller, sign_in
from provisioning.program.client_secrets import PlanInputs, plan_run
from provisioning.program.last_state import Deployed
from provisioning.program.run import ApplicationPlan, Own, Run, TakenOver
from provisioning.program.settings import SameName, Settings


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a run begins with.

    config, secret_keys: the stack's configuration. logins: by the name of the installation. warnings: of the
    configuration alone.
    """

    config: Mapping[str, str] = field(repr=False)
    secret_keys: Collection[str]
    settings: Settings
    logins: Mapping[str, NocoBaseLogin]
    caller: Caller
    last: Deployed
    warnings: Sequence[str] = ()


def prepare(last: Deployed) -> Run:
    """Validate the settings, ask whether they can be deployed, and plan what the run declares.

    Says what a person should know of it. Raises Ended with a sentence for what ends the run.
    """
    with stack.errors_as_sentences():
        given = validate(last)
        settings, caller = given.settings, given.caller
        uris = redirect_uris.plan_of(settings, last)
        other_platforms = redirect_uris.misplaced(uris.uris, last)
        installations = redirect_uris.as_recorded(settings, last, uris)

        warnings = ask_nocobase(given, installations)
        accounts = plan_audience(given, installations)
        audience.reject_too_early(accounts, given.config, given.secret_keys)

        ownership = owners.plan_for(caller, settings, last)
        planned = (ownership.of_application, ownership.of_principal)
        warnings += ownership.warnings
        warnings += [said] if (said := audience.in_words(accounts, settings.audience)) else []
        warnings += given.warnings
        warnings += [] if ownership.reads_only else owners.warn_of_added_owners(caller, planned)
        application = ApplicationPlan(
            audience=accounts.audience,
            redirect_uris=uris.uris,
            other_platforms=other_platforms,
            other_token_version=keeps_token_version(accounts.audience, last),
            consent=plan_consent(settings, last),
            tags=own_tags(settings, last),
            owners=ownership.of_application,
            principal_owners=ownership.of_principal,
            own=Own(stack_tags(settings), ownership.always, ownership.left),
        )
        if last.object_id is None and settings.same_name is not SameName.ALLOW:
            reject_namesakes(settings.application_name)

        secrets, orphans = plan_client_secrets(given, installations, accounts.audience)

    for reason in (*orphans, *secrets.reasons):
        pulumi.info(harmless(f"Client secrets: {reason}."))
    for reason in (*redirect_uris.switches(uris), *redirect_uris.moves(other_platforms, uris.uris, last)):
        pulumi.info(harmless(f"Redirect URIs: {reason}."))
    if application.consent and application.consent.new:
        pulumi.info("Consent: the one that an administrator has given for the tenant is taken into the stack as it is.")
    if ownership.reads_only and last.application is None:
        pulumi.info(harmless(owners.deployer_not_shown(settings.owners, pulumi.get_stack())))
    for warning in warnings:
        pulumi.warn(harmless(warning))
    return Run(
        settings=settings,
        caller=caller,
        application=application,
        secrets=secrets,
        installations=installations,
        removes=any(secret.slot not in secrets.slots for secret in last.secrets),
    )


def validate(last: Deployed) -> Given:
    """The stack's settings, and who signs in. Raises SettingsError and SignInUnusable."""
    config, secret_keys = stack.configuration()
    loaded = validation.load(config, secret_keys)
    warnings = [NOT_REFRESHED] if os.environ.get(REFRESH_OPTION, "").lower() in FALSE else []
    warnings += [NO_EFFECT] if validation.RETIRED in config else []
    return Given(
        config=config,
        secret_keys=secret_keys,
        settings=loaded.settings,
        logins=loaded.logins,
        caller=sign_in(),
        last=last,
        warnings=warnings,
    )


def ask_nocobase(given: Given, installations: Sequence[Installation]) -> list[str]:
    """Check what the run is to change in NocoBase; a sentence for each installation that cannot be served.

    That is before anything changes in Entra ID: a wrong address must not cost the redirect URI that is in use. Raises
    NocoBaseError if none can be served.
    """
    settings, logins, last = given.settings, given.logins, given.last
    patience = settings.nocobase_patience_seconds
    new = [one for one in installations if one.resource_name not in last.pushed]
    own = [last.client_id] if last.client_id else []
    warnings = check_installations(
        new, logins, own=own, served=bool(last.pushed), patience_seconds=patience, check=check
    )
    own += [push.client_id for push in last.pushes]
    moved = redirect_uris.moved(installations, last)
    warnings += check_installations(
        moved, logins, own=own, served=len(installations) > 1, patience_seconds=patience, check=check
    )
    if last.application and last.application.declared.audience != settings.audience:
        # A NocoBase 3 is given another page first: see `audience`.
        by_rest = [one for one in settings.installations if one.configuration is None]
        served = [one for one in by_rest if one.resource_name in last.pushed]
        check_audience(served, logins, Accounts(settings.audience.value, last.tenant_id))
    return warnings


def plan_audience(given: Given, installations: Sequence[Installation]) -> audience.AudiencePlan:
    """The audience that the application has after the run; each NocoBase 3 is asked only if it changes."""

    def pages(one: Installation, kept_in: Configuration) -> Collection[str] | None:
        return sign_in_pages(one, kept_in, given.logins[one.name], given.last.client_id)

    return audience.plan_of(given.settings.audience, installations, given.last, pages)


def plan_client_secrets(
    given: Given, installations: Sequence[Installation], accounts: rules.Audience
) -> tuple[SecretPlan, list[str]]:
    """As `plan_run`, of this stack. accounts: the application's audience. Raises as it does."""
    last = given.last

    def why_maybe_in_use(slots: Collection[Slot]) -> list[str]:
        known = {secret.value for secret in last.secrets if secret.value and secret.slot in slots}
        transformed = {push.name for push in last.pushes if push.transformed}
        return may_hold_unknown_secret(
            installations,
            given.logins,
            client_id=last.client_id,
            written_at=last.pushed,
            known=known,
            transformed=transformed,
        )

    return plan_run(
        PlanInputs(
            object_id=last.object_id,
            last=last.secrets_for([one.resource_name for one in installations]),
            now=stack.now(),
            policy=given.settings.rotation_policy,
            two_at_most=accounts.personal,
            preview=pulumi.runtime.is_dry_run(),
            awaiting_deletion=stack.awaiting_deletion,
            why_maybe_in_use=why_maybe_in_use,
        )
    )


def stack_tags(settings: Settings) -> tuple[str, ...]:
    """The stack's own tags."""
    return stack_tag(pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack()), *settings.tags


def own_tags(settings: Settings, last: Deployed) -> Tags:
    """The tags of the application. Entra ID is asked only if they change. Raises DirectoryUnreadable."""

    def read() -> tuple[str, ...]:
        # 0.4 s of imports (msgraph) that only a change needs.
        from provisioning.entra import directory  # noqa: PLC0415

        found = directory.named_application(last.client_id) if last.client_id else None
        return tuple(found[1]) if found else ()

    return plan_tags(stack_tags(settings), last.application.tags if last.application else None, read)


REFRESH_OPTION = "PULUMI_OPTION_REFRESH"
"""The variable by which a shell sets `--refresh`, before `Pulumi.yaml` does."""

FALSE = ("0", "f", "false")

NOT_REFRESHED = (
    f"{REFRESH_OPTION} has this run see nothing of what was changed by hand; an update takes it back. To have each run "
    f"look first: unset {REFRESH_OPTION}"
)

NO_EFFECT = (
    f"The setting {validation.RETIRED} has no effect: what the program does not declare always stays as it is. To "
    f"remove it: pulumi config rm {validation.RETIRED}"
)


def keeps_token_version(accounts: rules.Audience, last: Deployed) -> bool:
    """Whether the application's own access tokens stay of another version than 2, as they were when it was adopted."""
    version = last.application.token_version if last.application else None
    return version not in (None, 2) and not accounts.personal


def plan_consent(settings: Settings, last: Deployed) -> TakenOver | None:
    """The consent for the tenant that an administrator gave before; None if the program gives its own, or none.

    Entra ID is asked only before the program's first one. Raises ConsentExists and DirectoryUnreadable.
    """
    if not settings.tenant_consent or last.principal is None:
        return None
    if last.consent is not None:
        return TakenOver(last.consent, new=False) if last.consent_taken_over else None
    # 0.4 s of imports (msgraph) that only the first consent needs.
    from provisioning.entra import directory  # noqa: PLC0415

    present = directory.tenant_consent(last.principal.object_id)
    reject_other_consent(settings.scopes, present)
    return TakenOver(f"{GRANT_ID}{present.id}", new=True) if present else None


GRANT_ID = "/oauth2PermissionGrants/"
"""How the azuread provider's id of a consent begins; what follows is Graph's."""
