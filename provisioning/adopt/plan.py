"""The plan for adopting an application that was made by hand: what it has, what it will have, and why. Pure.

Nothing that works may change. If a setting can express what the application has, the setting is written. Properties
that this program does not declare stay as they are, and secrets that somebody else made are never touched. Everything
else is a loss, which a person has to accept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from provisioning.addresses import comparable
from provisioning.adopt import risks
from provisioning.adopt.risks import Risk, UsedSecret
from provisioning.entra.audiences import authority_for, warning_for_nocobase
from provisioning.entra.orphans import MOST_SECRETS, StoredSecret, classify_secrets
from provisioning.entra.ownership import origin
from provisioning.entra.permissions import Permission, of_scopes, scope_name, written
from provisioning.entra.registration import OTHER_PLATFORMS, WEB, Candidate, Found, Owner, who_disabled
from provisioning.entra.rules import Audience, why_invalid_audience, why_invalid_redirect_uri, why_unkeepable
from provisioning.entra.tags import STACK_TAG
from provisioning.entra.weaknesses import at
from provisioning.errors import AdoptionRejected
from provisioning.foreign import guid, quoted
from provisioning.nocobase.sign_in_link import SignIn, redirect_uri_mismatch

if TYPE_CHECKING:
    from provisioning.program.settings import Settings

IN_NOCOBASE, SECRET_DESCRIPTION = "NocoBase", "secretDescription"
"""Properties that the application does not have itself."""

AS_IT_IS = "as it is"
NOT_TOUCHED = "not touched"

PUBLIC_CLIENT = "publicClient"
"""Graph's name of the platform of a public client."""


@dataclass(frozen=True)
class Line:
    """One property: its value now, its value after the next `pulumi up`, and how that comes about."""

    property: str
    there: object
    after: object
    how: str


@dataclass
class Adoption:
    """The plan. config: settings to write first. losses: what cannot be kept. warnings: what a person should know.

    origin: when the application was created, and whose it is. risks: what a person has to accept, each by its word.
    """

    lines: list[Line] = field(default_factory=list)
    config: dict[str, str | list[str]] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    origin: str = ""
    risks: list[Risk] = field(default_factory=list)


EMPTY_FIELDS = "empty the two fields in NocoBase."


@dataclass(frozen=True)
class InNocoBase:
    """What NocoBase shows: the client ID that it holds, and its sign-in link; None for what it does not show.

    secret_begins: the first three characters of its client secret, which Entra ID shows, too. elsewhere: of a NocoBase
    3, the client ids of its other mail providers for Microsoft, by name.
    """

    client_id: str | None = None
    link: SignIn | None = None
    secret_begins: str | None = field(default=None, repr=False)
    elsewhere: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Caller:
    """Who adopts. object_id: of the account. tenant_id: where it is signed in."""

    object_id: str
    tenant_id: str


def plan_adoption(
    found: Found, settings: Settings, caller: Caller, stack_tag: str, now: datetime, there: InNocoBase | None = None
) -> Adoption:
    """How the stack of `settings` adopts `found`, which NocoBase may use already (`there`). Raises AdoptionRejected."""
    reject_other_stacks(found.application, stack_tag)
    audience = Audience(found.application["signInAudience"])
    reject_audience(audience)
    plan = Adoption()
    _keep_by_setting(plan, "applicationName", settings.application_name, str(found.application["displayName"]))
    _keep_by_setting(plan, "audience", settings.audience.value, audience.value)
    there = there or InNocoBase()
    _sign_in_page(plan, settings, there, audience, caller.tenant_id)
    _redirect_uris(plan, found, settings, audience)
    _permissions(plan, found, settings)
    tags = found.application.get("tags") or []
    own = [] if stack_tag in tags else [stack_tag]
    _extend(plan, "tags", [tag for tag in tags if tag != stack_tag], settings.tags, own)
    _owners(plan, found, settings, caller.object_id)
    reject_misplaced(found, settings)
    reject_unusable_addresses(found)
    reject_disabled_principal(found)
    if found.principal is None:
        plan.lines.append(Line("service principal", None, "one", "created by `pulumi up`"))
    plan.lines.append(Line("everything else", AS_IT_IS, AS_IT_IS, NOT_TOUCHED))
    _disabled(plan, found)
    _credentials(plan, found, settings, audience, now)
    _in_nocobase(plan, settings, there, str(found.application["appId"]))
    _risks(plan, found, settings, caller, there, now)
    return plan


def _risks(plan: Adoption, found: Found, settings: Settings, caller: Caller, there: InNocoBase, now: datetime) -> None:
    """Say where the application comes from, and what in it others could use; what is kept has to be known."""
    owners = [owner for owner in found.people if owner.object_id in found.owners]
    owners += [Owner(one) for one in found.owners if one not in {owner.object_id for owner in owners}]
    created = found.application.get("createdDateTime")
    when = datetime.fromisoformat(str(created)) if created else None
    plan.origin = f"The application was {origin(when, dict.fromkeys(owners))}. Adopt it only if you know who made it."
    kept = list(plan.config.get("redirectUris", settings.redirect_uris))
    for platform in OTHER_PLATFORMS:
        kept += at(found.application, f"{platform}.redirectUris") or []
    used = UsedSecret(there.secret_begins) if there.client_id == found.application["appId"] else None
    each = (
        risks.owners_at_risk(found, {caller.object_id, *settings.owners}),
        risks.redirect_uris_at_risk(found, kept, settings),
        risks.credentials_at_risk(found, used, now),
        risks.permissions_at_risk(found, _permissions_there(found), settings),
        risks.weaknesses_at_risk(found),
    )
    plan.risks = [risk for risk in each if risk is not None]


def reject_audience(audience: Audience) -> None:
    """Raise AdoptionRejected for an audience that no stack may have."""
    reason = why_invalid_audience(audience)
    if reason is not None:
        raise AdoptionRejected(
            f"The application is for the audience {audience}. {reason} Nothing was changed. Register another "
            "application: pulumi up. Or let this one have a wider audience (App registrations → Manifest → "
            "signInAudience), if that is meant, then run the command again."
        )


def _sign_in_page(plan: Adoption, settings: Settings, there: InNocoBase, audience: Audience, tenant_id: str) -> None:
    """Warn of a sign-in page that does not serve the audience, or that `pulumi up` changes."""
    page = there.link.tenant if there.link else None
    if settings.nocobase_config_file:
        after = authority_for(audience, tenant_id)
        if there.link and page and page.lower() != after.lower():
            shown = quoted(there.link.redacted(page))
            plan.warnings.append(
                f"NocoBase's sign-in page is that of {shown}; `pulumi up` makes it that of {after}, which takes the "
                f"accounts of the audience {audience}."
            )
        return
    if (warning := warning_for_nocobase(audience, tenant_id, page)) is not None:
        warning = there.link.redacted(warning) if there.link else warning
        plan.warnings.append(f"With the audience as it is, `pulumi up` will fail. After the adoption: {warning}")


def _in_nocobase(plan: Adoption, settings: Settings, there: InNocoBase, client_id: str) -> None:
    """Say what becomes of the credentials that NocoBase holds, and whether `pulumi up` would reject its link."""
    if there.client_id == client_id:
        plan.lines.append(
            Line(IN_NOCOBASE, "this client ID", "the same, with a new secret", "its present secret stays valid")
        )
    elif not there.client_id and (named := _named(there, client_id)) is not None:
        from provisioning.nocobase3.config_file import NAME  # noqa: PLC0415 - ruamel.yaml, only for a NocoBase 3

        command = f": pulumi config set nocobaseMailProvider {named}" if NAME.fullmatch(named) else "."
        plan.warnings.append(
            f"In NocoBase's configuration, this application is the mail provider {quoted(named)}, not "
            f"{settings.nocobase_mail_provider}. Before `pulumi up`, take that name, to which connected accounts "
            f"belong{command}"
        )
    elif there.client_id and there.client_id != settings.nocobase_take_over:
        # What is no client ID may be a secret in the wrong field, and is not repeated.
        known = guid(there.client_id)
        replace = f"pulumi config set nocobaseTakeOver {known}" if known == there.client_id else EMPTY_FIELDS
        plan.warnings.append(
            f"NocoBase holds the credentials of another application ({known}), which `pulumi up` will refuse to "
            f"replace. If it may be replaced: {replace}"
        )
    if there.link and there.link.redirect_uri:
        declared = plan.config.get("redirectUris") or settings.redirect_uris
        if (reason := redirect_uri_mismatch(there.link, declared)) is not None:
            plan.warnings.append(f"`pulumi up` will fail: of NocoBase's sign-in link, {reason[0]}. {reason[1]}")


def _named(there: InNocoBase, client_id: str) -> str | None:
    """The name of the application's mail provider in a NocoBase 3, where that is another one than the stack's."""
    return next((name for name, id_ in there.elsewhere.items() if id_ == client_id), None)


def reject_other_stacks(application: Mapping[str, Any], stack_tag: str) -> None:
    """Raise AdoptionRejected if the application carries the tag of another stack."""
    others = [tag for tag in application.get("tags") or [] if tag.startswith(STACK_TAG) and tag != stack_tag]
    if others:
        raise AdoptionRejected(
            f"The application {quoted(application['displayName'])} belongs to another stack: it carries the tag "
            f"{quoted(others[0])}. "
            "Two stacks would undo each other's changes. If that stack is gone, remove the tag in Entra ID (App "
            "registrations → Manifest), then run the command again."
        )


def _keep_by_setting(plan: Adoption, key: str, declared: str, there: str) -> None:
    """Plan a property that one setting expresses."""
    if declared != there:
        plan.config[key] = there
    plan.lines.append(Line(key, there, there, AS_IT_IS if declared == there else f"kept by {key}"))


def _extend(plan: Adoption, key: str, there: Sequence[str], declared: Sequence[str], added: Sequence[str] = ()) -> None:
    """Plan a list that a setting expresses: what is there, and what is declared. added: added without the setting."""
    wanted = [*there, *(item for item in declared if item not in there)]
    if wanted != list(declared):
        plan.config[key] = wanted
    after = list(dict.fromkeys([*wanted, *added]))
    if after:
        kept = f"kept by {key}" if wanted != list(declared) else AS_IT_IS
        extended = set(after) - set(there)
        how = "added" if not there else f"{kept}, extended" if extended else kept
        plan.lines.append(Line(key, list(there), list(there) if not extended else after, how))


def _redirect_uris(plan: Adoption, found: Found, settings: Settings, audience: Audience) -> None:
    there = at(found.application, "web.redirectUris") or []
    reasons = {uri: why_invalid_redirect_uri(uri, audience) for uri in there}
    for uri, reason in reasons.items():
        if reason:
            plan.losses.append(f"The redirect URI {quoted(uri)} cannot be kept. {reason}")
            plan.lines.append(Line("redirectUris", uri, None, "cannot be kept"))
    kept = dict.fromkeys(comparable(uri) for uri in there if not reasons[uri])
    _extend(plan, "redirectUris", list(kept), settings.redirect_uris)


def reject_misplaced(found: Found, settings: Settings) -> None:
    """Raise AdoptionRejected if a declared redirect URI is registered for another platform than Web.

    Entra ID takes a URI for one platform only, and what another platform has is not touched.
    """
    for platform, title in OTHER_PLATFORMS.items():
        there = at(found.application, f"{platform}.redirectUris") or []
        misplaced = [uri for uri in there if uri in settings.redirect_uris]
        if misplaced:
            shown = ", ".join(misplaced)
            raise AdoptionRejected(
                f"The redirect URI {shown} is registered for the platform {title}, where NocoBase's server cannot "
                f"complete a sign-in, and Entra ID takes a URI for one platform only. Remove it from {title} (App "
                f"registrations → Authentication), then run the command again: `pulumi up` adds it to {WEB}. Nothing "
                "was changed."
            )


def reject_unusable_addresses(found: Found) -> None:
    """Raise AdoptionRejected for redirect URIs of other platforms that the azuread provider would reject in each run.

    An import takes them into the stack, and the provider validates all that a stack has.
    """
    for platform, title in OTHER_PLATFORMS.items():
        there = at(found.application, f"{platform}.redirectUris") or []
        reasons = {uri: why_unkeepable(uri, public=platform == PUBLIC_CLIENT) for uri in there}
        wrong = [f"{quoted(uri)}: {reason}" for uri, reason in reasons.items() if reason]
        if wrong:
            raise AdoptionRejected(
                f"The azuread provider would reject redirect URIs of the platform {title} in each run. "
                f"{' '.join(wrong)} Correct them (App registrations → Authentication), then run the command again. "
                "Nothing was changed."
            )


def reject_disabled_principal(found: Found) -> None:
    """Raise AdoptionRejected if the service principal is disabled: whoever did that may have had a reason."""
    if found.principal is not None and found.principal.get("accountEnabled") is False:
        raise AdoptionRejected(
            "The service principal is disabled, so nobody can sign in (AADSTS7000112), and `pulumi up` would enable "
            "it. Ask who disabled it, and why; then enable it (Enterprise applications → Properties), and run this "
            "command again. Nothing was changed."
        )


def _disabled(plan: Adoption, found: Found) -> None:
    """Warn of an application that is deactivated; the program does not declare whether it is."""
    who = who_disabled(found.application.get("isDisabled"), found.application.get("disabledByMicrosoftStatus"))
    if who is not None:
        plan.warnings.append(
            f"The application was deactivated by {who}: nobody can sign in, and `pulumi up` will fail until it is "
            "activated again (App registrations → Overview)."
        )


def _permissions_there(found: Found) -> list[Permission]:
    listed = (
        Permission(str(api["resourceAppId"]), str(access["id"]), str(access["type"]))
        for api in found.application.get("requiredResourceAccess") or []
        for access in api.get("resourceAccess") or []
    )
    return list(dict.fromkeys(listed))


def _permissions(plan: Adoption, found: Found, settings: Settings) -> None:
    there = _permissions_there(found)
    scopes = [name for name in map(scope_name, there) if name]
    further = [written(permission) for permission in there if not scope_name(permission)]
    _extend(plan, "scopes", scopes, settings.scopes)
    _extend(plan, "furtherPermissions", further, settings.further_permissions)
    if settings.tenant_consent and set(of_scopes(settings.scopes)) - set(there):
        plan.warnings.append("consent is tenant: `pulumi up` also consents to the scopes that are added.")


def _owners(plan: Adoption, found: Found, settings: Settings, caller: str) -> None:
    """Plan the owners, the caller among them."""
    others = sorted(set(found.owners) - {caller})
    _extend(plan, "owners", others, settings.owners, [] if caller in found.owners else [caller])
    if caller not in found.owners:
        plan.warnings.append(
            f"You ({quoted(caller)}) are not an owner of the application. With Application.ReadWrite.OwnedBy alone "
            "`pulumi up` will fail: have an owner run `az ad app owner add --id "
            f"{guid(found.application['appId'], '<client ID>')} --owner-object-id {guid(caller, '<object id>')}` first."
        )


def _credentials(plan: Adoption, found: Found, settings: Settings, audience: Audience, now: datetime) -> None:
    """Plan the secrets, which stay. Raises AdoptionRejected if Entra ID allows no further one."""
    secrets = found.application.get("passwordCredentials") or []
    described = {str(secret["keyId"]): _described(secret, now) for secret in secrets}
    plan.lines += [Line("client secret", said, said, NOT_TOUCHED) for said in described.values()]
    certificates = [key.get("displayName") or key.get("keyId") for key in found.application.get("keyCredentials") or []]
    if certificates:
        plan.lines.append(Line("certificates", certificates, certificates, NOT_TOUCHED))
    if federated := [item.get("name") for item in found.federated_credentials]:
        plan.lines.append(Line("federated credentials", federated, federated, NOT_TOUCHED))
    if audience.personal and len(secrets) >= MOST_SECRETS:
        raise AdoptionRejected(
            "This stack cannot add its client secret: with personal accounts Entra ID allows an application "
            f"{MOST_SECRETS}, and this one has {len(secrets)}: {'; '.join(described.values())}. Remove one that is not "
            "in use (App registrations → Certificates & secrets), never the one that NocoBase has; nothing was changed."
        )
    if audience.personal and secrets:
        (said,) = described.values()
        plan.warnings.append(
            f"With personal accounts Entra ID allows {MOST_SECRETS} client secrets. Once NocoBase uses the stack's "
            f"own, remove this one if nothing else uses it, or the next rotation will fail: {said}."
        )
    stored = [StoredSecret(str(secret["keyId"]), secret.get("displayName") or "") for secret in secrets]
    if classify_secrets(stored, (), [settings.secret_description]).orphans:
        # It would look like an orphaned secret, and be removed while NocoBase may still use it.
        plan.config["secretDescription"] = f"{settings.secret_description} (since {_day(now)})"
        plan.lines.append(
            Line(
                SECRET_DESCRIPTION,
                settings.secret_description,
                plan.config["secretDescription"],
                "distinguishes this stack's secrets from the existing ones",
            )
        )


def _described(secret: Mapping[str, Any], now: datetime) -> str:
    end = datetime.fromisoformat(str(secret["endDateTime"]))
    ends = f"expired on {_day(end)}" if end <= now else f"ends on {_day(end)}"
    return f"{quoted(secret.get('displayName') or '')} ({quoted(secret['keyId'])}), {ends}"


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def find_candidates(
    applications: Iterable[Candidate], name: str, redirect_uris: Sequence[str], in_nocobase: str | None
) -> list[Candidate]:
    """The applications with one of the URIs, whose client ID NocoBase has, or in whose name each word of `name` is.

    Capital and small letters are the same.
    """
    candidates = []
    for application in applications:
        same = application.name.casefold() == name.casefold()
        reasons = {
            "NocoBase has its client ID": application.client_id == in_nocobase,
            "redirect URI": bool(set(map(comparable, application.redirect_uris)) & set(redirect_uris)),
            "same name": same,
            "part of its name": not same and _has_words(application.name, name),
        }
        why = ", ".join(reason for reason, true in reasons.items() if true)
        if why:
            candidates.append(replace(application, why=why))
    return sorted(
        candidates,
        key=lambda one: (-one.why.count(","), one.why.startswith("part"), one.name.casefold(), one.client_id),
    )


def _has_words(text: str, words: str) -> bool:
    return bool(words.strip()) and all(word in text.casefold() for word in words.casefold().split())
