"""Which audience the application has after a run: what NocoBase's sign-in page needs goes only after its successor.

A NocoBase 3 is told its sign-in page with the push, which comes after the application. So where the page that it uses
takes nobody of the new audience, the application keeps the earlier one until NocoBase was seen to use another page. A
NocoBase 2 has one page only: `preflight.check_audience` rejects the change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from provisioning.entra.audiences import USED_BY_NOCOBASE, authority_for, mismatch
from provisioning.entra.rules import Audience
from provisioning.errors import SettingsError
from provisioning.nocobase.installation import Configuration, Installation
from provisioning.program.last_state import Deployed, Push
from provisioning.program.validation import validate


@dataclass(frozen=True)
class AudiencePlan:
    """What the application declares. waiting: the URLs of the NocoBases for which it is not the wanted one yet."""

    audience: Audience
    waiting: tuple[str, ...] = ()


Pages = Callable[[Installation, Configuration], Collection[str] | None]
"""The sign-in pages that a NocoBase 3 uses, and will use once it is restarted; None if it cannot be asked."""


def plan_of(wanted: Audience, installations: Sequence[Installation], last: Deployed, pages: Pages) -> AudiencePlan:
    """The audience of the next run. wanted: by the settings. pages: asked only if the audience changes."""
    declared = last.application.declared.audience if last.application else None
    if declared is None or declared == wanted or declared not in list(Audience):
        return AudiencePlan(wanted)
    before = Audience(declared)
    pushes = {push.name: push for push in last.pushes}
    waiting = tuple(
        one.url
        for one in installations
        if one.configuration
        and any(
            mismatch(page, wanted, last.tenant_id)
            for page in _pages(one, one.configuration, pushes.get(one.resource_name), before, last.tenant_id, pages)
        )
    )
    return AudiencePlan(before, waiting) if waiting else AudiencePlan(wanted)


def _pages(
    one: Installation,
    configuration: Configuration,
    push: Push | None,
    before: Audience,
    tenant_id: str | None,
    pages: Pages,
) -> Collection[str]:
    """What it uses, and what people still use where it was served before."""
    if push is None:
        return pages(one, configuration) or ()
    if (push.url, push.config_file, push.mail_provider) == (one.url, configuration.place, configuration.provider):
        found = pages(one, configuration)
        if found is not None:
            return found
    return [authority_for(before, tenant_id) if push.config_file else USED_BY_NOCOBASE]


def reject_too_early(plan: AudiencePlan, config: Mapping[str, str], secret_keys: Collection[str]) -> None:
    """Raise SettingsError for settings that only the wanted audience allows, as long as the earlier one stays.

    Entra ID would reject them before the push, without which the audience never changes.
    """
    if not plan.waiting:
        return
    _, problems = validate({**config, "audience": plan.audience.value}, secret_keys)
    remedy = "Set it back to what it was, run `pulumi up` until the audience has changed, then set it again"
    too_early = [
        replace(problem, why=f"{problem.why} The audience stays {plan.audience} in this run.", remedy=remedy)
        for problem in problems
        if problem.key != "audience"
    ]
    if too_early:
        raise SettingsError(too_early)


def in_words(plan: AudiencePlan, wanted: Audience) -> str | None:
    """What to say where the audience does not change yet."""
    if not plan.waiting:
        return None
    urls = ", ".join(plan.waiting)
    return (
        f"The audience stays {plan.audience} until NocoBase at {urls} was seen to use a sign-in page of {wanted}, "
        "which this run gives to it. The next `pulumi up` after that changes the audience."
    )
