"""The redirect URIs of a run, and the NocoBases at an address where nothing was pushed yet: settings and last state."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from provisioning.addresses import AddressRejected, normalized_address
from provisioning.entra.redirect_uri_plan import RedirectUriPlan, plan_redirect_uris
from provisioning.entra.registration import WEB
from provisioning.entra.rules import why_too_many_redirect_uris, why_unkeepable
from provisioning.errors import Problem, RedirectUriMisplaced, SettingsError
from provisioning.foreign import quoted
from provisioning.nocobase.installation import Installation
from provisioning.program.last_state import PLATFORMS, Deployed, Push
from provisioning.program.settings import Settings


def plan_of(settings: Settings, last: Deployed) -> RedirectUriPlan:
    """The redirect URIs of the next run. Raises SettingsError if they are more than Entra ID allows."""
    served = {one.resource_name for one in settings.installations}
    in_use = {uri for push in last.pushes if push.name in served for uri in push.redirect_uris_in_use}
    registered = last.application.declared.redirect_uris if last.application else frozenset()
    plan = plan_redirect_uris(settings.redirect_uris, registered, in_use)
    too_many = why_too_many_redirect_uris(len(plan.uris), settings.audience)
    if too_many:
        why = f"{too_many} {', '.join(plan.leaving)} has to stay until NocoBase was verified to use another one."
        raise SettingsError([Problem("redirectUris", None, why, "remove one that nobody uses")])
    return plan


def misplaced(uris: Collection[str], last: Deployed) -> dict[str, tuple[str, ...]]:
    """Platform, by azuread's name → what stays on it, for each that has some of the `uris`, which are to be of Web.

    Entra ID takes a redirect URI for one platform only. One update, which is one request, takes it from there and adds
    it to Web. Raises RedirectUriMisplaced if what stays there is nothing that the azuread provider would send.
    """
    there = last.application.of_other_platforms if last.application else {}
    staying = {
        name: tuple(uri for uri in ones if uri not in uris) for name, ones in there.items() if set(ones) & set(uris)
    }
    for name, ones in staying.items():
        wrong = {uri: why for uri in ones if (why := why_unkeepable(uri, public=name == "publicClient"))}
        if wrong:
            shown = ", ".join(sorted(set(there[name]) & set(uris)))
            others = " ".join(f"{quoted(uri)}: {why}" for uri, why in wrong.items())
            raise RedirectUriMisplaced(
                f"The redirect URI {shown} is registered for the platform {PLATFORMS[name]} instead of {WEB}, so "
                f"nobody can sign in. It cannot be moved: the azuread provider rejects what is there besides. {others} "
                f"Nothing was changed. Remove it from {PLATFORMS[name]} (Entra ID → App registrations → "
                f"Authentication), then run `pulumi up`, which adds it to {WEB}."
            )
    return staying


def moves(staying: Mapping[str, Collection[str]], uris: Collection[str], last: Deployed) -> list[str]:
    """A sentence for each redirect URI that comes back to the platform Web. staying: see `misplaced`."""
    there = last.application.of_other_platforms if last.application else {}
    return [
        f"{uri} is registered for the platform {PLATFORMS[name]} instead of {WEB}; it is moved back"
        for name in staying
        for uri in there[name]
        if uri in uris
    ]


def as_recorded(settings: Settings, last: Deployed, plan: RedirectUriPlan) -> list[Installation]:
    """The installations; an address or redirect URI that only its spelling tells from the recorded one keeps that."""
    pushes = {push.name: push for push in last.pushes}
    return [
        replace(one, url=_url(one, pushes.get(one.resource_name)), redirect_uris=plan.of(one.redirect_uris))
        for one in settings.installations
    ]


def _url(installation: Installation, push: Push | None) -> str:
    if push is None or push.slot is None:
        return installation.url
    try:
        return push.url if normalized_address(push.url) == installation.url else installation.url
    except AddressRejected:
        return installation.url


def moved(installations: Sequence[Installation], last: Deployed) -> list[Installation]:
    """Those that were served before, and by now are at another place or should use another redirect URI."""
    pushes = {push.name: push for push in last.pushes}
    found = [(one, pushes[one.resource_name]) for one in installations if one.resource_name in pushes]
    return [one for one, push in found if _has_moved(one, push)]


def _has_moved(installation: Installation, push: Push) -> bool:
    if (installation.url, installation.app, installation.mapping) != (push.url, push.app, push.mapping):
        return True
    kept_in = installation.configuration
    if (kept_in and (kept_in.place, kept_in.provider)) != (push.config_file and (push.config_file, push.mail_provider)):
        return True
    return not push.redirect_uris_in_use & set(installation.redirect_uris)


def switches(plan: RedirectUriPlan) -> list[str]:
    """A sentence for each redirect URI that is still in use although the settings do not name it any more."""
    return [
        f"{uri} stays until NocoBase was verified to use another one; the next `pulumi up` after that removes it"
        for uri in plan.leaving
    ]
