"""Redirect URIs and addresses of a run, from settings and the last state."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from provisioning.entra.redirect_uri_plan import RedirectUriPlan
from provisioning.errors import RedirectUriMisplaced, SettingsError
from provisioning.nocobase.installation import Installation
from provisioning.program import redirect_uris
from provisioning.program.last_state import Deployed
from provisioning.program.settings import Settings
from provisioning.program.validation import validate
from tests.provisioning.checkpoints import REDIRECT_URI, URL, Json, application, push
from tests.provisioning.program.test_last_state import state

ELSEWHERE = "https://elsewhere.example.com"
THERE = f"{ELSEWHERE}/admin/settings/mail/oauth2"
SALES_URL = "https://sales.example.com"
SALES_URI = f"{SALES_URL}/admin/settings/mail/oauth2"
SALES = {"name": "sales", "url": SALES_URL}
SERVED = push("a", "2027-01-01", proved_redirect_uri=REDIRECT_URI)
OF_SALES: Json = {"nocobase_url": SALES_URL, "redirect_uris": [SALES_URI]}
SALES_SERVED = push("a", "2027-01-01", "nocobase-sales", proved_redirect_uri=SALES_URI, **OF_SALES)


def declared(**config: str) -> Settings:
    settings, problems = validate({"audience": "AzureADMyOrg", **config})
    assert settings is not None, problems
    return settings


def run(last: Deployed, url: str = URL, *further: Json, **more: str) -> tuple[RedirectUriPlan, Sequence[Installation]]:
    """The plan, and the installations that moved."""
    settings = declared(nocobaseUrl=url, nocobaseInstallations=json.dumps(further), **more)
    plan = redirect_uris.plan_of(settings, last)
    return plan, redirect_uris.moved(redirect_uris.as_recorded(settings, last, plan), last)


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(state(application(), SERVED), id="verified"),
        pytest.param(state(application(), push("a", "2027-01-01")), id="without a sign-in link"),
    ],
)
def test_only_a_real_move_is_one(last: Deployed) -> None:
    for same in (URL, f" {URL.upper().replace('HTTPS', 'https')}:443/ "):
        plan, moved = run(last, same)
        assert (plan.uris, plan.leaving, moved) == ((REDIRECT_URI,), (), [])
    plan, moved = run(last, ELSEWHERE)
    assert (plan.uris, plan.leaving) == ((THERE, REDIRECT_URI), (REDIRECT_URI,))
    assert [(one.url, one.redirect_uris) for one in moved] == [(ELSEWHERE, (THERE,))]
    assert "stays until NocoBase was verified" in redirect_uris.switches(plan)[0]


def test_after_the_switch_the_old_one_goes() -> None:
    there = push("a", "2027-01-01", nocobase_url=ELSEWHERE, redirect_uris=[THERE], proved_redirect_uri=THERE)
    plan, moved = run(state(application(web={"redirectUris": [THERE, REDIRECT_URI]}), there), ELSEWHERE)
    assert (plan.uris, moved) == ((THERE,), [])


def test_a_redirect_uri_in_use_that_is_taken_from_the_settings_counts_as_a_move() -> None:
    last = state(application(), SERVED)
    plan, moved = run(last, redirectUris=json.dumps([THERE]))
    assert plan.uris == (THERE, REDIRECT_URI)
    assert [one.url for one in moved] == [URL]
    assert run(last, redirectUris=json.dumps([REDIRECT_URI, THERE]))[1] == []


def test_an_earlier_spelling_of_a_stack_that_works_is_no_change() -> None:
    odd = "https://NocoBase.example.com:443"
    uri = f"{odd}/admin/settings/mail/oauth2"
    last = state(
        application(web={"redirectUris": [uri]}), push("a", "2027-01-01", nocobase_url=odd, redirect_uris=[uri])
    )
    settings = declared(nocobaseUrl=odd)
    plan = redirect_uris.plan_of(settings, last)
    (main,) = redirect_uris.as_recorded(settings, last, plan)
    assert (settings.nocobase_url, main.url, main.redirect_uris, plan.uris) == (URL, odd, (uri,), (uri,))
    assert redirect_uris.moved([main], last) == []


def test_a_spelling_whose_push_failed_is_put_right() -> None:
    """The issue's case, as the version before left it: Entra ID has it, NocoBase was never verified to use it."""
    wrong = REDIRECT_URI.replace("nocobase.", "NOCOBASE.")
    last = state(application(web={"redirectUris": [wrong]}), SERVED)
    plan, moved = run(last, URL.replace("nocobase.", "NOCOBASE."))
    assert (plan.uris, moved) == ((REDIRECT_URI,), [])


def test_of_several_each_keeps_its_own_until_it_has_switched() -> None:
    last = state(application(web={"redirectUris": [REDIRECT_URI, SALES_URI]}), SERVED, SALES_SERVED)
    plan, moved = run(last, URL, {**SALES, "url": ELSEWHERE})
    assert (plan.leaving, [one.name for one in moved]) == ((SALES_URI,), ["sales"])
    # One that is taken from the list is given up on purpose.
    assert run(last)[0].uris == (REDIRECT_URI,)
    # One that was never served has nothing that could be lost.
    failed = push("a", "2027-01-01", "nocobase-sales", **OF_SALES)
    failed["outputs"]["slot"] = None
    last = state(application(web={"redirectUris": [REDIRECT_URI, SALES_URI]}), SERVED, failed)
    assert run(last, URL, {**SALES, "url": ELSEWHERE})[0].leaving == ()


def test_an_adopted_application_loses_nothing_before_the_first_push() -> None:
    by_hand = "https://BY-hand.example.com/callback"
    last = state(application(web={"redirectUris": [REDIRECT_URI, by_hand]}))
    plan, moved = run(last, redirectUris=json.dumps([REDIRECT_URI, by_hand]))
    assert ({REDIRECT_URI, by_hand} <= set(plan.uris), moved) == (True, [])


def test_a_switch_that_has_no_room_is_told_before() -> None:
    full = [f"https://n.example.com/{number}" for number in range(255)]
    last = state(application(web={"redirectUris": [*full, REDIRECT_URI]}), SERVED)
    with pytest.raises(SettingsError, match=r"257 redirect URIs; AzureADMyOrg allows 256.*has to stay"):
        run(last, ELSEWHERE, redirectUris=json.dumps([*full, THERE]))


def test_one_on_another_platform_comes_back_with_a_sentence() -> None:
    spa = {"redirectUris": [REDIRECT_URI, "https://theirs.example.com/x"]}
    last = state(application(singlePageApplication=spa, publicClient=None), SERVED)
    staying = redirect_uris.misplaced([REDIRECT_URI], last)
    assert staying == {"singlePageApplication": ("https://theirs.example.com/x",)}
    assert redirect_uris.moves(staying, [REDIRECT_URI], last) == [
        f"{REDIRECT_URI} is registered for the platform Single-page application instead of Web; it is moved back"
    ]
    assert redirect_uris.misplaced([THERE], last) == {}
    assert redirect_uris.misplaced([REDIRECT_URI], state()) == {}


def test_one_beside_what_the_provider_does_not_send_is_rejected_before_any_change() -> None:
    spa = {"redirectUris": [REDIRECT_URI, "https://theirs.example.com"]}
    last = state(application(singlePageApplication=spa), SERVED)
    with pytest.raises(RedirectUriMisplaced) as rejected:
        redirect_uris.misplaced([REDIRECT_URI], last)
    said = str(rejected.value)
    assert f"{REDIRECT_URI} is registered for the platform Single-page application instead of Web" in said
    assert "https://theirs.example.com: After the host a path or at least a slash is required." in said
    assert "Entra ID → App registrations → Authentication" in said
