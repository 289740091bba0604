"""What is there now: each side against the state, and when a person is needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from provisioning.entra.consent import given, rule
from provisioning.entra.orphans import StoredSecret
from provisioning.entra.registration import Grant, Owner, Principal, Registration
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.program.last_state import Deployed
from provisioning.resource_types import COMPONENT_TYPE, PRINCIPAL_TYPE
from provisioning.status.compare import Sync, alarms, compare_entra, compare_nocobase, consent_in_words, overview
from provisioning.status.dates import dated, end_of_old_secret, in_days
from provisioning.status.differences import NOT_RESTARTED, REACTIVATE, RESTART, RESTORE
from provisioning.status.for_programs import as_json
from provisioning.status.read import NOT_ASKED, OFFLINE, Consent, Extra, Held, HeldRow, Unread
from tests.provisioning.checkpoints import (
    CLIENT_ID,
    OBJECT_ID,
    ONE_SECRET,
    REDIRECT_URI,
    TENANT_ID,
    TWO_SECRETS,
    URL,
    application,
    outputs,
    push,
    resource,
    secret,
)
from tests.provisioning.program.test_last_state import state

OTHER_ID = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11"
NOW = datetime(2027, 2, 1, 12, tzinfo=UTC)


ONE = state(*ONE_SECRET)
TWO = state(*TWO_SECRETS)


def registration(**changed: Any) -> Registration:
    """Entra ID's application as `ONE` declares it."""
    assert ONE.application is not None
    found = Registration(
        **vars(ONE.application.declared),
        object_id=OBJECT_ID,
        client_id=CLIENT_ID,
        secrets=(StoredSecret("key-a", "NocoBase mail a 2027-01-01"),),
        owners=(Owner("0a1b2c3d-0000-4000-8000-00000000000f", "the pipeline", "service principal"),),
    )
    return replace(found, **changed)


TAG = "pulumi:organization/nocobase-outlook/prod"


def test_what_is_missing_of_the_stacks_own_is_drift_and_what_others_have_is_none() -> None:
    own = {"ownTags": [TAG, "mail"], "ownOwners": ["me", "colleague"], "ownPrincipalOwners": ["me"]}
    found = state(
        *ONE_SECRET,
        resource(COMPONENT_TYPE, "mail", own),
        resource(PRINCIPAL_TYPE, "mail", {"objectId": "principal"}),
    )
    here = registration(tags=frozenset({TAG, "mail", "theirs"}), owners=(Owner("me"), Owner("colleague"), Owner("x")))
    principal = Principal("principal", enabled=True, owners=(Owner("me"), Owner("x")))
    assert compare_entra(found, here, Extra(principal=principal)).reasons == ()
    # Nobody is accused where nobody could look.
    unknown = compare_entra(found, replace(here, owners=None), Extra(principal=replace(principal, owners=None)))
    assert unknown.reasons == ()
    changed = replace(here, tags=frozenset({"theirs", "mail"}), owners=(Owner("x"), Owner("me")))
    side = compare_entra(found, changed, Extra(principal=replace(principal, owners=(Owner("x"),))))
    assert side.reasons == (
        f'the declared tag "{TAG}" is missing',
        "the declared owner colleague of the application is missing",
        "the declared owner me of the service principal is missing",
    )
    assert overview(found, changed, [held()], NOW, 14, Extra()).alarms[0].endswith("is missing: run `pulumi up`")


def held(link: SignIn | None = None, **changed: Any) -> Held:
    """What NocoBase shows as long as `ONE` is in sync with it."""
    row = HeldRow(CLIENT_ID, None, "2027-01-01T08:00:05.000Z")
    return Held(replace(row, **changed), link or SignIn(CLIENT_ID, REDIRECT_URI))


def test_what_puts_a_side_right_is_told() -> None:
    renamed = registration(display_name="by hand")
    view = overview(ONE, renamed, [held(client_id="by-hand")], NOW, 14)
    assert [alarm.partition(": run ")[2] for alarm in view.alarms] == ["`pulumi up`", "`pulumi up`"]
    unread = overview(ONE, Unread("403"), [held()], NOW, 14)
    assert unread.alarms == ("Entra ID is not read: 403",)
    gone = overview(ONE, None, [held()], NOW, 14)
    assert gone.alarms[0].endswith(f"is not there: {RESTORE}")


def test_no_command_is_promised_to_undo_what_it_does_not_undo() -> None:
    def alarm(found: Registration, link: SignIn | None = None) -> str:
        (said,) = overview(ONE, found, [held(link) if link else held()], NOW, 14).alarms
        return said

    off = "an owner or administrator"
    assert alarm(registration(disabled=off)).endswith(f"nobody can sign in: {REACTIVATE}")
    assert alarm(registration(disabled=off, display_name="by hand")).endswith(
        f"instead of 'NocoBase mail': {REACTIVATE} Then run `pulumi up`."
    )
    shut = alarm(registration(), SignIn(CLIENT_ID, REDIRECT_URI, (), "common"))
    assert "`pulumi up`" not in shut
    assert shut.endswith("pulumi config set audience AzureADMultipleOrgs")


def test_one_that_has_to_be_restarted_is_told_to_be_and_no_setting_to_be_changed() -> None:
    """Its sign-in link is that of its earlier configuration, also where the audience has been changed since."""
    waiting = replace(ONE, pushes=tuple(replace(one, restart_due="It has to be restarted. Do.") for one in ONE.pushes))
    earlier = SignIn(CLIENT_ID, REDIRECT_URI, (), "common")
    (said,) = overview(waiting, registration(), [held(earlier, client_id="by-hand")], NOW, 14).alarms
    assert said == f"{URL} is not in sync: {NOT_RESTARTED}: {RESTART}"


def test_an_audience_that_waits_for_nocobase_is_an_alarm_and_no_setting_to_be_changed() -> None:
    assert ONE.application is not None
    declared = replace(ONE.application.declared, audience="AzureADMultipleOrgs")
    application = replace(ONE.application, declared=declared, awaited_audience="AzureADMyOrg")
    new_page, found = SignIn(CLIENT_ID, REDIRECT_URI, (), TENANT_ID), registration(audience="AzureADMultipleOrgs")
    (said,) = overview(replace(ONE, application=application), found, [held(new_page)], NOW, 14).alarms
    assert said == (
        "Entra ID is not in sync: its audience stays AzureADMultipleOrgs until NocoBase was seen to use a sign-in page "
        "of AzureADMyOrg: run `pulumi up`"
    )


def test_a_restart_that_is_due_is_an_alarm_also_where_nobody_was_asked() -> None:
    waiting = replace(TWO, pushes=tuple(replace(one, restart_due="It has to be restarted. Do.") for one in TWO.pushes))
    (said,) = overview(waiting, OFFLINE, [OFFLINE], NOW, 14).alarms
    assert said == f"{URL} was given new credentials, and has to be restarted with them: {RESTART}"
    unread = overview(waiting, OFFLINE, [Unread("no login")], NOW, 14).alarms
    assert unread == (said, f"{URL} is not read: no login")
    assert overview(TWO, OFFLINE, [OFFLINE], NOW, 14).alarms == ()
    assert end_of_old_secret(waiting, NOW) == "once NocoBase is restarted"
    assert end_of_old_secret(TWO, NOW) == dated(TWO.old_retires, NOW)
    assert end_of_old_secret(ONE, NOW) is None


def test_what_weakens_the_application_is_a_note_and_no_alarm() -> None:
    spa = "Single-page application"
    open_wide = registration(
        weaknesses=("the implicit grant gives tokens to the browser",),
        of_other_platforms={"https://spa.example.com/": spa},
        certificates=('certificate "by hand" (key-c)',),
    )
    view = overview(ONE, open_wide, [held()], NOW, 14, Extra())
    assert (view.sync, view.alarms) == (Sync.YES, ())
    (note,) = view.entra.notes
    assert note == (
        "more open than mail needs: the implicit grant gives tokens to the browser, it sends users to "
        f'https://spa.example.com/, too ({spa}), certificate "by hand" (key-c) signs in as it (see `doctor`)'
    )
    assert overview(ONE, registration(), [held()], NOW, 14, Extra()).entra.notes == ()


def test_several_installations_each_have_their_own_slot() -> None:
    found = state(*TWO_SECRETS, push("a", "2027-01-01", "other", nocobase_app="sales"))
    assert [pushed.target for pushed in found.pushes] == [URL, f"{URL} (sales)"]
    assert [bool(found.used_by(secret)) for secret in found.secrets] == [True, True]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (registration(), None),
        (None, f"the application {CLIENT_ID} is not there"),
        (registration(secrets=()), "the client secret in slot a was removed"),
        (
            registration(disabled="an owner or administrator"),
            "the application was deactivated by an owner or administrator, so nobody can sign in",
        ),
        (
            registration(redirect_uris=frozenset(), of_other_platforms={REDIRECT_URI: "Single-page application"}),
            f"the declared redirect URI {REDIRECT_URI} is registered for the platform Single-page application instead "
            "of Web",
        ),
        (registration(audience="AzureADMultipleOrgs"), "its audience is AzureADMultipleOrgs instead of AzureADMyOrg"),
    ],
)
def test_entra_id(found: Registration | None, reason: str | None) -> None:
    side = compare_entra(ONE, found)
    assert side.sync is (Sync.NO if reason else Sync.YES)
    assert side.reasons == ((reason,) if reason else ())


@pytest.mark.parametrize(
    ("tenant", "reason"),
    [
        ("common", "its sign-in link is for 'common', where nobody of audience AzureADMyOrg can sign in"),
        (TENANT_ID, None),
        ("contoso.example.com", None),
    ],
)
def test_a_link_that_lets_nobody_in_is_not_in_sync(tenant: str, reason: str | None) -> None:
    side = compare_nocobase(ONE, ONE.pushes[0], held(SignIn(CLIENT_ID, REDIRECT_URI, (), tenant)))
    assert side.sync is (Sync.NO if reason else Sync.YES)
    assert [said.partition(" (")[0] for said in side.reasons] == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("principal", "reason", "note"),
    [
        (Principal("id", enabled=True), None, None),
        (None, "AADSTS7000229", None),
        (Principal("id", enabled=False), "AADSTS7000112", None),
        (Principal("id", enabled=True, assignment_required=True), None, "AADSTS50105"),
        (Unread("403"), None, "could not be read (403)"),
        (OFFLINE, None, None),
    ],
)
def test_a_service_principal_that_lets_nobody_in(
    principal: Principal | Unread | None, reason: str | None, note: str | None
) -> None:
    side = compare_entra(ONE, registration(), Extra(principal=principal))
    assert side.sync is (Sync.NO if reason else Sync.YES)
    for said, expected in ((side.reasons, reason), (side.notes, note)):
        assert len(said) == (1 if expected else 0)
        assert expected is None or expected in said[0]


def test_what_entra_id_has_besides_is_noted_and_no_fault() -> None:
    lost, theirs = StoredSecret("lost", "NocoBase mail b 2027-01-20"), StoredSecret("theirs", "by hand", NOW)
    extra = Extra((), (lost,), (theirs, theirs), {"duplicate": "NocoBase mail"})
    view = overview(ONE, registration(), [held()], NOW, 14, extra)
    assert (view.sync, view.alarms) == (Sync.YES, ())
    assert view.entra.notes == (
        "1 orphaned client secret (see `prune`)",
        "2 foreign client secrets",
        "1 duplicate application (see `prune`)",
    )
    told = as_json(view, NOW)
    assert [(one["kind"], one["keyId"], one["inUse"], one["daysLeft"]) for one in told["secrets"]] == [
        ("own", "key-a", True, 148),
        ("orphaned", "lost", None, None),
        ("foreign", "theirs", None, 0),
        ("foreign", "theirs", None, 0),
    ]
    assert told["duplicates"] == [{"objectId": "duplicate", "name": "NocoBase mail"}]


def test_a_duplicate_of_an_application_that_is_gone_is_noted() -> None:
    side = compare_entra(ONE, None, Extra(duplicates={"duplicate": "NocoBase mail"}))
    assert (side.sync, side.notes) == (Sync.NO, ("1 duplicate application (see `prune`)",))


def test_duplicates_that_could_not_be_read_are_not_called_none() -> None:
    view = overview(ONE, registration(), [held()], NOW, 14, Extra(duplicates=Unread("403")))
    assert view.entra.notes == ("whether there is a duplicate application could not be read (403)",)
    assert as_json(view, NOW)["duplicates"] is None
    assert as_json(overview(ONE, Unread("x"), [held()], NOW, 14), NOW)["duplicates"] is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (held(), None),
        (held(client_secret="value-a", updated_at="later"), None),
        (held(client_id=None), "it holds no email settings for Microsoft"),
        (held(client_id=""), f"it holds client ID none instead of {CLIENT_ID}"),
        (held(client_id="a~secret.by-mistake"), f"it holds client ID (not a client ID) instead of {CLIENT_ID}"),
        (held(client_id=OTHER_ID), f"it holds client ID {OTHER_ID} instead of {CLIENT_ID}"),
        (held(client_secret="another"), "it holds another client secret"),
        (held(updated_at="2027-01-20"), "its email settings were changed on 2027-01-20, and it hides the secret"),
        (
            held(link=SignIn(OTHER_ID, REDIRECT_URI)),
            f"its sign-in link names client ID {OTHER_ID} instead of {CLIENT_ID}",
        ),
        (
            held(link=SignIn(CLIENT_ID, "https://x")),
            f"it sends users back to https://x, but declared is {REDIRECT_URI}",
        ),
    ],
)
def test_nocobase(found: Held, reason: str | None) -> None:
    side = compare_nocobase(ONE, ONE.pushes[0], found)
    assert side.sync is (Sync.NO if reason else Sync.YES)
    assert side.reasons == ((reason,) if reason else ())


def test_a_secret_whose_slot_was_issued_into_again_is_not_the_one_in_use() -> None:
    broken = state(*ONE_SECRET[:3], push("a", "2027-01-01", client_secret=secret("former")))
    side = compare_nocobase(broken, broken.pushes[0], held())
    assert side.reasons == ("it was given a client secret that slot a no longer holds",)
    assert not broken.used_by(broken.secrets[0])


def test_an_installation_whose_push_failed_says_why() -> None:
    down = push("b", "2027-04-03", "nocobase-sales", problem="It cannot be reached.")
    down["outputs"] |= {"slot": None, "since": None}
    found = state(*TWO_SECRETS, down)
    side = compare_nocobase(found, found.pushes[1], held(client_id=None))
    assert side.reasons == ("the last push failed: It cannot be reached.", "it holds no email settings for Microsoft")
    assert [bool(found.used_by(secret)) for secret in found.secrets] == [False, True]


def test_what_was_not_read_is_never_called_in_sync() -> None:
    view = overview(ONE, Unread("403 Authorization_RequestDenied"), [held()], NOW, 14)
    assert view.sync is Sync.UNREAD
    assert view.alarms == ("Entra ID is not read: 403 Authorization_RequestDenied",)
    assert as_json(view, NOW)["sync"] is None
    assert as_json(view, NOW)["entra"]["inSync"] is None
    assert overview(ONE, Unread("x"), [held(client_id="")], NOW, 14).sync is Sync.NO


def test_what_nobody_asked_for_needs_nobody() -> None:
    view = overview(ONE, OFFLINE, [OFFLINE], NOW, 14)
    assert (view.sync, view.alarms) == (Sync.UNREAD, ())


def test_all_in_sync() -> None:
    view = overview(ONE, registration(), [held()], NOW, 14)
    assert (view.sync, view.alarms) == (Sync.YES, ())
    told = as_json(view, NOW)
    assert (told["entra"]["clientId"], told["nocobase"][0]["clientId"]) == (CLIENT_ID, CLIENT_ID)
    elsewhere = overview(ONE, registration(), [held(client_id=OTHER_ID)], NOW, 14)
    assert as_json(elsewhere, NOW)["nocobase"][0]["clientId"] == OTHER_ID


@pytest.mark.parametrize(
    ("found", "now", "said"),
    [
        (ONE, "2027-02-01", None),
        (ONE, "2027-04-07", None),
        (ONE, "2027-04-09", "has been due since 2027-04-01 (8 days ago)"),
        (TWO, "2027-04-05", None),
        (TWO, "2027-09-13", "has been due since 2027-06-30"),
        (TWO, "2027-09-14", "slot b, ends on 2027-09-28 (in 13 days)"),
        (TWO, "2027-10-02", "slot b, has ended on 2027-09-28 (4 days ago)"),
        (state(), "2027-02-01", "nothing is deployed"),
        (state(outputs(), application()), "2027-02-01", "was not deployed since"),
        (state(*ONE_SECRET[1:]), "2027-02-01", "its deployment was not completed"),
    ],
)
def test_when_a_person_is_needed(found: Deployed, now: str, said: str | None) -> None:
    moment = datetime.fromisoformat(f"{now}T12:00:00Z")
    given = "\n".join(alarms(found, moment, 14))
    assert said in given if said else given == ""


def test_the_end_of_a_replaced_secret_needs_nobody() -> None:
    late = state(*TWO_SECRETS, outputs(nextRotation="2027-12-01T00:00:00Z"))
    assert alarms(late, datetime(2027, 6, 29, tzinfo=UTC), 14) == ()


def test_json_has_no_secret() -> None:
    view = overview(TWO, OFFLINE, [held(client_secret="value-b")], NOW, 14)
    assert "value-" not in str(as_json(view, NOW))
    assert "value-" not in repr(view)


@pytest.mark.parametrize(
    ("day", "words"),
    [(1, "today"), (2, "in 1 day"), (15, "in 14 days")],
)
def test_days_ahead(day: int, words: str) -> None:
    assert in_days(datetime(2027, 1, day, 12, tzinfo=UTC), datetime(2027, 1, 1, 8, tzinfo=UTC)) == words


def test_days_past() -> None:
    assert in_days(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 4, 8, tzinfo=UTC)) == "3 days ago"


def consented(consent: Consent | Unread) -> str | None:
    """The words for it."""
    return consent_in_words(overview(ONE, registration(), [held()], NOW, 14, Extra(consent=consent)))


def test_consent_in_words() -> None:
    by_nobody, administrator = given(["SMTP.Send"], []), rule((), ["SMTP.Send"])
    assert consented(Consent(by_nobody, administrator)) == (
        "by nobody yet: SMTP.Send; an administrator has to consent: this tenant lets no user do so"
    )
    assert "assigned users only" in str(consented(Consent(by_nobody, rule((), [], assignment_required=True))))
    everybody = given(["SMTP.Send"], [Grant("graph", frozenset({"SMTP.Send"}), everybody=True)])
    assert consented(Consent(everybody, administrator)) == "for everybody in the tenant: SMTP.Send"
    assert consented(Unread("403")) == "could not be read (403)"
    assert consented(NOT_ASKED) is None
