"""The audience of a run: what a NocoBase's sign-in page needs goes only after its successor."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest

from provisioning.entra.rules import Audience
from provisioning.errors import SettingsError
from provisioning.program.audience import AudiencePlan, in_words, plan_of, reject_too_early
from provisioning.program.last_state import Deployed
from provisioning.program.validation import validate
from tests.provisioning.checkpoints import URL, Json, application, push
from tests.provisioning.program.test_last_state import state

EVERYBODY, ORGANIZATIONS, OWN = Audience.ANY_TENANT_AND_PERSONAL, Audience.ANY_TENANT, Audience.ONE_TENANT
KEPT_IN = {"config_file": "/srv/config.yml", "mail_provider": "outlook"}
SERVED = push("a", "2027-01-01", **KEPT_IN)


def planned(
    last: Deployed, wanted: Audience = OWN, pages: Collection[str] | None = ("common",), **more: str
) -> AudiencePlan:
    """The plan of a stack with a NocoBase 3, which uses `pages`."""
    values = {"nocobaseUrl": URL, "nocobaseConfigFile": "/srv/config.yml", "audience": wanted.value, **more}
    settings, problems = validate(values)
    assert settings is not None, problems
    return plan_of(settings.audience, settings.installations, last, lambda *_: pages)


def last(before: Audience, *pushes: Json) -> Deployed:
    """A stack whose application has the audience `before`."""
    return state(application(signInAudience=before.value), *pushes)


@pytest.mark.parametrize(
    ("before", "wanted", "pages", "stays"),
    [
        (EVERYBODY, OWN, ["common"], True),
        (ORGANIZATIONS, OWN, ["organizations"], True),
        (EVERYBODY, OWN, ["11111111-2222-3333-4444-555555555555", "common"], True),
        (EVERYBODY, OWN, None, True),
        (EVERYBODY, ORGANIZATIONS, ["common"], False),
        (EVERYBODY, ORGANIZATIONS, None, False),
        (OWN, EVERYBODY, ["organizations"], False),
        (EVERYBODY, OWN, [], False),
        (OWN, OWN, None, False),
    ],
)
def test_the_earlier_audience_stays_only_where_the_page_needs_it(
    before: Audience, wanted: Audience, pages: list[str] | None, stays: bool
) -> None:
    found = planned(last(before, SERVED), wanted, pages)
    assert found == (AudiencePlan(before, (URL,)) if stays else AudiencePlan(wanted))
    assert (in_words(found, wanted) is not None) == stays


def test_a_nocobase_that_moved_may_still_be_used_at_its_earlier_place() -> None:
    elsewhere = push("a", "2027-01-01", **{**KEPT_IN, "config_file": "/srv/other.yml"})
    by_rest = push("a", "2027-01-01")
    for recorded in (elsewhere, by_rest):
        assert planned(last(EVERYBODY, recorded), pages=[]).audience is EVERYBODY
    assert planned(last(EVERYBODY), pages=None).audience is OWN
    assert planned(last(EVERYBODY), pages=["common"]).audience is EVERYBODY


def test_a_stack_without_a_nocobase_3_or_an_application_is_not_asked() -> None:
    further = json.dumps([{"name": "next", "url": "https://next.example.com"}])
    found = planned(last(EVERYBODY, push("a", "2027-01-01")), nocobaseConfigFile="", nocobaseInstallations=further)
    assert found == AudiencePlan(OWN)
    assert planned(state()) == AudiencePlan(OWN)


def test_what_only_the_wanted_audience_allows_is_set_after_it_has_changed() -> None:
    config = {
        "nocobaseUrl": URL,
        "nocobaseConfigFile": "/srv/config.yml",
        "audience": OWN.value,
        "redirectUris": json.dumps([f"{URL}/*"]),
    }
    assert validate(config)[1] == []
    reject_too_early(AudiencePlan(OWN), config, ())
    reject_too_early(AudiencePlan(ORGANIZATIONS, (URL,)), config, ())
    with pytest.raises(
        SettingsError, match="The audience stays AzureADandPersonalMicrosoftAccount in this run"
    ) as raised:
        reject_too_early(AudiencePlan(EVERYBODY, (URL,)), config, ())
    assert [problem.key for problem in raised.value.problems] == ["redirectUris"]
    # What people made of it by hand is no setting.
    reject_too_early(AudiencePlan(Audience.PERSONAL, (URL,)), {**config, "redirectUris": ""}, ())
