"""Everything between the stack's settings and its resources: what is validated, asked and planned before a change.

In this order: the settings are validated; the azuread provider says who signs in; NocoBase is asked before its first
push, before the first one at a new address, and before another audience is declared (`audience`); Entra ID is asked
before the first deployment, and when the plan changes owners or client secrets. An `up` without changes asks only who
signs in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import pulumi

from provisioning.entra import rules
from provisioning.entra.account import (
    CHANGE_ANY,
    CHANGE_OWN,
    account_of,
    depends_on_people,
    read_claims,
    why_may_not_add_owners,
)
from provisioning.entra.client_secret_plan import LastSecrets, Policy, SecretPlan, Slot, plan_at_once, plan_secrets
from provisioning.entra.consent import reject_other_consent
from provisioning.entra.orphans import classify_secrets, descriptions, reject_if_full
from provisioning.entra.other_applications import reject_namesakes
from provisioning.entra.ownership import Owners, Wanted, last_deployer_leaves, plan_owners, reject_own_removal
from provisioning.entra.registration import Owner
from provisioning.entra.tags import Tags, plan_tags, stack_tag
from provisioning.errors import DirectoryUnreadable, Problem, ProvisioningError, SettingsError
from provisioning.foreign import harmless
from provisioning.nocobase.installation import Installation
from provisioning.nocobase.preflight import check_audience, check_installations
from provisioning.nocobase.sign_in_link import Accounts
from provisioning.nocobase3.before_change import check, may_hold_unknown_secret, sign_in_pages
from provisioning.program import audience, redirect_uris, stack, validation
from provisioning.program.caller import Caller, sign_in
from provisioning.program.last_state import Deployed
from provisioning.program.settings import SameName, Settings


@dataclass(frozen=True)
class Own:
    """The tags and owners that the stack's settings and caller ask for; there may be others beside them."""

    tags: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Run:
    """What one run declares: the stack's settings, and the client secrets and owners that exist after it.

    redirect_uris: of the application. installations: the NocoBases to serve. consent: what an administrator
    gave before. other_token_version: whether the application's own access tokens stay of another version.
    removes: whether a client secret is removed at the end. audience: of the application in this run, where that is not
    yet the one of the settings. own: which tags and owners any run of the stack puts back. other_platforms: the
    redirect URIs of each other platform that loses one to Web, by azuread's name of it.
    """

    settings: Settings
    secrets: SecretPlan
    redirect_uris: Sequence[str]
    tags: Tags
    installations: Sequence[Installation]
    caller: Caller
    owners: Owners
    principal_owners: Owners
    consent: TakenOver | None = None
    other_token_version: bool = False
    removes: bool = False
    audience: rules.Audience | None = None
    own: Own = Own()
    other_platforms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class TakenOver:
    """A consent for the tenant that an administrator gave, and that the stack declares from now on.

    id: the provider's. new: whether it is yet to be imported.
    """

    id: str
    new: bool


def prepare(last: Deployed) -> Run:
    """Validate the settings, check that they can be deployed, and plan the client secrets.

    Warns of problems that do not end the run. Raises Ended with a sentence for those that do.
    """
    with stack.errors_as_sentences():
        config, secret_keys = stack.configuration()
        settings, _, logins = validation.load(config, secret_keys)
        caller = sign_in()
        pushed = last.pushed
        uris = redirect_uris.plan_of(settings, last)
        other_platforms = redirect_uris.misplaced(uris.uris, last)
        installations = redirect_uris.as_recorded(settings, last, uris)
        new = [one for one in installations if one.resource_name not in pushed]
        patience = settings.nocobase_patience_seconds
        own = [last.client_id] if last.client_id else []
        warnings = check_installations(new, logins, own, bool(pushed), patience, check)
        # Before anything changes in Entra ID: a wrong address must not cost the redirect URI that is in use.
        own += [push.client_id for push in last.pushes]
        moved = redirect_uris.moved(installations, last)
        warnings += check_installations(moved, logins, own, len(installations) > 1, patience, check)
        if last.application and last.application.declared.audience != settings.audience:
            # A NocoBase 3 is given another page first; see below.
            by_rest = [one for one in settings.installations if one.configuration is None]
            served = [one for one in by_rest if one.resource_name in pushed]
            check_audience(served, logins, Accounts(settings.audience.value, last.tenant_id))
        accounts = audience.plan_of(
            settings.audience,
            installations,
            last,
            lambda one, kept_in: sign_in_pages(one, kept_in, logins[one.name], last.client_id),
        )
        reads_only = previews_without_rights(caller, last)
        wanted = Wanted(
            None if reads_only else caller.object_id,
            settings.owners,
            settings.former_owners,
            caller.application and not reads_only,
        )
        wanted, of_gone = without_gone(wanted, last)
        warnings += of_gone
        owners, principal_owners, warning = plan_ownership(wanted, last, settings.protect_application)
        warnings += [warning] if warning else []
        warnings += [said] if (said := audience.in_words(accounts, settings.audience)) else []
        warnings += [NOT_REFRESHED] if os.environ.get(REFRESH_OPTION, "").lower() in FALSE else []
        warnings += [NO_EFFECT] if validation.RETIRED in config else []
        reject_too_many_owners((owners, principal_owners))
        warnings += [] if reads_only else warn_of_added_owners(caller, (owners, principal_owners))
        consent = plan_consent(settings, last)
        tags = own_tags(settings, last)
        if last.object_id is None and settings.same_name is not SameName.ALLOW:
            reject_namesakes(settings.application_name)

        def why_maybe_in_use(slots: Collection[Slot]) -> list[str]:
            known = {secret.value for secret in last.secrets if secret.value and secret.slot in slots}
            transformed = {push.name for push in last.pushes if push.transformed}
            return may_hold_unknown_secret(installations, logins, last.client_id, pushed, known, transformed)

        secrets, orphans = plan_run(
            PlanInputs(
                object_id=last.object_id,
                last=last.secrets_for([one.resource_name for one in installations]),
                now=stack.now(),
                policy=settings.rotation_policy,
                two_at_most=accounts.audience.personal,
                preview=pulumi.runtime.is_dry_run(),
                awaiting_deletion=stack.awaiting_deletion,
                why_maybe_in_use=why_maybe_in_use,
            )
        )
    for reason in (*orphans, *secrets.reasons):
        pulumi.info(harmless(f"Client secrets: {reason}."))
    for reason in (*redirect_uris.switches(uris), *redirect_uris.moves(other_platforms, uris.uris, last)):
        pulumi.info(harmless(f"Redirect URIs: {reason}."))
    if consent and consent.new:
        pulumi.info("Consent: the one that an administrator has given for the tenant is taken into the stack as it is.")
    if reads_only and last.application is None:
        pulumi.info(harmless(deployer_not_shown(settings.owners, pulumi.get_stack())))
    for warning in warnings:
        pulumi.warn(harmless(warning))
    other_version = keeps_token_version(accounts.audience, last)
    removes = any(secret.slot not in secrets.slots for secret in last.secrets)
    return Run(
        settings,
        secrets,
        uris.uris,
        tags,
        installations,
        caller,
        owners,
        principal_owners,
        consent,
        other_version,
        removes,
        accounts.audience if accounts.waiting else None,
        Own(stack_tags(settings), wanted.always),
        other_platforms,
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


def reject_too_many_owners(planned: Sequence[Owners]) -> None:
    """Raise SettingsError if an object would have more owners than Entra ID allows."""
    why = rules.why_too_many_owners(max(len(owners.object_ids) for owners in planned))
    if why is not None:
        remedy = "name those that are no longer needed in formerOwners: `status` lists them"
        raise SettingsError([Problem("owners", None, why, remedy)])


def previews_without_rights(caller: Caller, last: Deployed) -> bool:
    """Whether this is a preview by an application that may change no application, such as bootstrap's for previews.

    Whoever deploys is another account then, so the preview shows no owner that no deployment would add. Entra ID is
    asked for a token only if the caller is an application and not an owner yet.
    """
    objects = [one for one in (last.application, last.principal) if one is not None]
    owns = bool(objects) and all(caller.object_id in one.owners for one in objects)
    if not pulumi.runtime.is_dry_run() or not caller.application or owns:
        return False
    # 0.4 s of imports (msgraph) that only such a preview needs.
    from provisioning.entra import microsoft_graph  # noqa: PLC0415

    try:
        granted = account_of(read_claims(microsoft_graph.caller_token())).granted
    except ProvisioningError:
        # It may have them; what is really in its way says so itself.
        return False
    return granted.isdisjoint({CHANGE_OWN, *CHANGE_ANY})


def deployer_not_shown(named: Sequence[str], of_stack: str) -> str:
    """What a reading preview of the first deployment says of its owners. named: those in the stack's settings.

    A policy pack counts what the preview shows.
    """
    return (
        "Owners: this account only previews. The one that deploys becomes an owner, too; a preview shows and counts it "
        f"if owners names it: pulumi config set --stack {of_stack} --path 'owners[{len(named)}]' <its object id>"
    )


def warn_of_added_owners(caller: Caller, planned: Sequence[Owners]) -> list[str]:
    """A warning if a pipeline is to add other owners, and its access token lacks the permission for that.

    Entra ID is asked for a token only if there are any; without one there is no warning.
    """
    added = {owner for owners in planned for owner in owners.added} - {caller.object_id}
    if not caller.application or not added:
        return []
    # 0.4 s of imports (msgraph) that only a change needs.
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415

    try:
        account = account_of(read_claims(microsoft_graph.caller_token()))
        people = directory.people(added) if depends_on_people(account, added) else ()
    except ProvisioningError:
        # A warning must not end the run; what is really in its way says so itself.
        return []
    missing = why_may_not_add_owners(account, added, people)
    return (
        [f"Owners: {caller.object_id} lacks a permission: {missing[0]}. To correct it: {missing[1]}"] if missing else []
    )


def without_gone(wanted: Wanted, last: Deployed) -> tuple[Wanted, list[str]]:
    """`wanted` without named owners who are not in the tenant any more, and a warning for each of them.

    Entra ID removes them from the owners, and would reject them in each run: no secret would be rotated any more. It is
    asked only if somebody is missing; where it does not say, they stay.
    """
    missing = {*wanted.named} - {*wanted.former} - last.application.owners if last.application else set()
    if not missing:
        return wanted, []
    # 0.4 s of imports (msgraph) that only a change needs.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        gone = directory.gone(missing)
    except DirectoryUnreadable:
        return wanted, []
    return replace(wanted, named=[one for one in wanted.named if one not in gone]), [
        f"The setting owners names {one}, which this tenant does not have, so it is left out. Take it out of owners in "
        "Pulumi.<stack>.yaml."
        for one in sorted(gone)
    ]


def plan_ownership(wanted: Wanted, last: Deployed, adopted: bool = False) -> tuple[Owners, Owners, str | None]:
    """The owners of the application and of its service principal, and a warning if no deployer is left among them.

    adopted: whether somebody made the application by hand. Whoever owned it then, and not its service principal, is not
    added there: that could take a right that the caller lacks. Entra ID is asked only if they change.
    Raises CallerLockedOut and DirectoryUnreadable.
    """
    reject_own_removal(wanted)

    def of_application() -> tuple[Owner, ...]:
        # 0.4 s of imports (msgraph) that only a change needs.
        from provisioning.entra import directory  # noqa: PLC0415

        return directory.application_owners(last.application.object_id) if last.application else ()

    def of_principal() -> tuple[Owner, ...]:
        from provisioning.entra import directory  # noqa: PLC0415 - as above

        return directory.principal_owners(last.principal.object_id) if last.principal else ()

    application = plan_owners(wanted, last.application.owners if last.application else None, of_application)
    if last.principal is None:
        # Whoever may look after the application has to look after its service principal, too.
        return application, Owners(application.object_ids), last_deployer_leaves(wanted, application, "application")
    left_out = last.application.owners - last.principal.owners if adopted and last.application else frozenset()
    # Whom a run has made an owner there is no such right.
    left_out -= last.principal.own_owners
    principal = plan_owners(wanted, last.principal.owners, of_principal, left_out)
    return (
        application,
        principal,
        last_deployer_leaves(wanted, application, "application")
        or last_deployer_leaves(wanted, principal, "service principal"),
    )


GONE = "the application is gone in Entra ID, so they are planned as for a new one"


@dataclass(frozen=True)
class PlanInputs:
    """What the plan of a run's client secrets depends on.

    object_id: of the application, None if there is none yet. two_at_most: whether Entra ID's limit of two secrets holds
    for the application's audience.
    awaiting_deletion: slots in which the engine has replaced a secret that it still has to delete; asked only if the
    last state looks so.
    why_maybe_in_use: why a NocoBase may use another secret of the application than those in these slots; empty if none
    does. What may be in use stays.
    """

    object_id: str | None
    last: LastSecrets
    now: datetime
    policy: Policy
    two_at_most: bool
    preview: bool
    awaiting_deletion: Callable[[], frozenset[Slot]]
    why_maybe_in_use: Callable[[Collection[Slot]], Sequence[str]]


def plan_run(given: PlanInputs) -> tuple[SecretPlan, list[str]]:
    """The plan, and a sentence for each orphaned secret; they are removed before one is issued, except in a preview.

    What the engine tells the program of secrets is the state before this run's refresh: a preview never records a
    refresh, and an `up` does with its first change only (`refreshSnapshotMutation.End` in pkg/backend/snapshot.go of
    Pulumi 3.255 and 3.274). So a secret may be gone in Entra ID although that state holds it, and so may the whole
    application; the engine itself has noticed. Entra ID is therefore asked before one is issued, or an old one declared
    again: else a secret that somebody has removed would be issued anew. Only the single one in use is: mail needs it.
    Raises SecretLimitReached and DirectoryUnreadable.
    """
    last = given.last
    if last.replaced:
        last = replace(last, replaced=last.replaced & given.awaiting_deletion())
    plan = plan_secrets(last, given.now, given.policy)
    if given.object_id is None or not (plan.reasons or len(last.slots) > 1):
        return plan, []
    # 0.4 s of imports (msgraph) that only these runs need.
    from provisioning.entra import directory  # noqa: PLC0415

    stored = directory.stored_secrets(given.object_id)
    if stored is None:
        return plan_secrets(LastSecrets(), given.now, given.policy), [GONE]
    keys = {secret.key_id for secret in stored}
    slots = {slot: secret for slot, secret in last.slots.items() if secret.key_id in keys}
    gone = [f"the secret in slot {slot} is gone in Entra ID" for slot in last.slots if slot not in slots]
    if gone:
        last = replace(last, slots=slots)
        plan = plan_secrets(last, given.now, given.policy)
    plan = plan_at_once(plan, last, given.now, given.policy, lambda freed: bool(given.why_maybe_in_use({freed.other})))
    if all(last.slots.get(slot) == secret for slot, secret in plan.slots.items()):
        return plan, gone
    known = {secret.key_id for secret in last.slots.values()}
    names = descriptions((secret.display_name for secret in given.last.slots.values()), given.policy.description)
    unrecorded = classify_secrets(stored, known, names)
    # A secret that is removed at the end of the run still exists when the new one is issued.
    planned = len(last.slots.keys() | plan.slots.keys())
    why = given.why_maybe_in_use(given.last.slots.keys()) if unrecorded.orphans else ()
    reject_if_full(unrecorded, planned, given.two_at_most, why)
    if why:
        kept = f"is not in this stack's state and may be in use, so it stays: {'; '.join(why)}"
        return plan, [*gone, *(f"{orphan} {kept}" for orphan in unrecorded.orphans)]
    if not given.preview:
        for orphan in unrecorded.orphans:
            directory.remove_secret(given.object_id, orphan.key_id)
    removed = "was left by an interrupted run and is not in use: removed"
    return plan, [*gone, *(f"{orphan} {removed}" for orphan in unrecorded.orphans)]
