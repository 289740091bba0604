"""One application for several NocoBase installations: each is served on its own, and none loses the secret it uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.nocobase import server, sub_applications
from sandbox.nocobase.bad_day import BadDay, trouble
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def sales(place: Place) -> str:
    """A sub-application of the sandbox's NocoBase, with email settings of its own."""
    sub_applications.create(place, "sales")
    return "sales"


@pytest.fixture
def elsewhere(stack: Stack, sales: str) -> Iterator[BadDay]:
    """The sub-application at an address of its own, as the stack's second installation."""
    with BadDay(nocobase_url(stack.place)) as proxy:
        stack.set("nocobasePatienceSeconds", "0")
        for key, value in (("name", "sales"), ("url", proxy.url), ("app", sales)):
            stack.set(f"nocobaseInstallations[0].{key}", value, path=True)
        yield proxy
        proxy.accept()
        proxy.clear()
        stack.pulumi("destroy", "--yes", "--skip-preview", extra=login(stack))


def login(stack: Stack) -> dict[str, str]:
    """The second installation's own login."""
    return {"NOCOBASE_API_KEY_SALES": server.api_key(stack.place)}


def up(stack: Stack, today: str, ok: bool = True, *arguments: str) -> str:
    return stack.up("--skip-preview", *arguments, ok=ok, extra={"PROVISIONING_TODAY": today, **login(stack)})


def credentials(stack: Stack) -> list[tuple[str, str]]:
    """What the main installation and the further one hold."""
    row = server.mail_settings_row(stack.place, app="sales") or {}
    return [stack.credentials, (row["clientId"] or "", row["clientSecret"] or "")]


def secrets(stack: Stack) -> set[str]:
    (application,) = stack.applications
    return {secret["displayName"] for secret in application["passwordCredentials"]}


def test_both_are_served_proved_and_emptied(stack: Stack, elsewhere: BadDay) -> None:
    up(stack, "2027-01-01")
    outputs = stack.outputs
    assert credentials(stack) == [(outputs["clientId"], outputs["clientSecret"])] * 2
    (application,) = stack.applications
    assert set(application["web"]["redirectUris"]) == {
        f"{nocobase_url(stack.place)}/admin/settings/mail/oauth2",
        f"{elsewhere.url}/apps/sales/admin/settings/mail/oauth2",
    }
    up(stack, "2027-01-01", True, "--expect-no-changes")

    missing = stack.up("--skip-preview", ok=False)
    assert "NOCOBASE_API_KEY_SALES" in missing

    stack.pulumi("destroy", "--yes", extra=login(stack))
    assert credentials(stack) == [("", "")] * 2


def test_one_that_is_down_keeps_neither_the_others_nor_its_own_secret_from_working(
    stack: Stack, elsewhere: BadDay
) -> None:
    elsewhere.refuse()
    said = up(stack, "2027-01-01", ok=False)
    assert "1 of 2 NocoBase installations are served" in said
    assert f"NocoBase at {elsewhere.url} cannot be reached" in said
    assert "Traceback" not in said
    first = (stack.outputs["clientId"], stack.outputs["clientSecret"])
    assert credentials(stack) == [first, ("", "")]
    elsewhere.accept()
    up(stack, "2027-01-02")
    assert credentials(stack) == [first, first]

    # It is down while a rotation is due: the others rotate, and its own secret stays, however long that takes.
    elsewhere.refuse()
    up(stack, "2027-04-03", ok=False)
    second = (first[0], stack.outputs["clientSecret"])
    assert second[1] != first[1]
    assert credentials(stack) == [second, first]
    for later in ("2027-04-20", "2027-06-20"):
        up(stack, later, ok=False)
        assert secrets(stack) == {"NocoBase mail a 2027-01-01", "NocoBase mail b 2027-04-01"}
        assert credentials(stack) == [second, first]

    # It comes back: the old secret stays for its time from then on.
    elsewhere.accept()
    up(stack, "2027-06-21")
    assert credentials(stack) == [second, second]
    assert len(secrets(stack)) == 2
    up(stack, "2027-06-27")
    assert len(secrets(stack)) == 2
    up(stack, "2027-06-28")
    assert secrets(stack) == {"NocoBase mail b 2027-04-01"}


def test_a_leaked_secret_is_not_removed_while_one_still_uses_it(stack: Stack, elsewhere: BadDay) -> None:
    up(stack, "2027-01-01")
    (first, _) = credentials(stack)
    stack.set("compromisedBefore", "2027-01-10T12:00:00Z")
    elsewhere.add(trouble("server-error", "POST .*mailSettings:", times=None))
    up(stack, "2027-01-11", ok=False)
    up(stack, "2027-01-12", ok=False)
    assert credentials(stack)[1] == first
    assert credentials(stack)[0] != first
    assert "NocoBase mail a 2027-01-01" in secrets(stack)
    elsewhere.clear()
    up(stack, "2027-01-13")
    assert credentials(stack)[0] == credentials(stack)[1] != first
    assert secrets(stack) == {"NocoBase mail b 2027-01-10"}


def test_an_installation_that_is_renamed_keeps_its_credentials(stack: Stack, elsewhere: BadDay) -> None:
    up(stack, "2027-01-01")
    before = credentials(stack)
    stack.set("nocobaseInstallations[0].name", "shop", path=True)
    renamed = {"PROVISIONING_TODAY": "2027-01-02", "NOCOBASE_API_KEY_SHOP": server.api_key(stack.place)}
    said = stack.up("--skip-preview", extra=renamed)
    assert "is served under another name now" in said
    assert credentials(stack) == before == [before[0]] * 2
    stack.up("--skip-preview", "--expect-no-changes", extra=renamed)
    stack.pulumi("destroy", "--yes", "--skip-preview", "--refresh", extra=renamed)
    assert credentials(stack) == [("", "")] * 2


def test_credentials_of_somebody_else_in_one_of_them_stay(stack: Stack, elsewhere: BadDay) -> None:
    row = server.mail_settings_row(stack.place, app="sales")
    assert row is not None
    foreign = {"clientId": "foreign-id", "clientSecret": "foreign-secret"}
    stack.nocobase("mailSettings:update", foreign, app="sales", filterByTk=str(row["id"]))
    for _ in range(2):
        said = up(stack, "2027-01-01", ok=False)
        assert "client id foreign-id" in said
        assert credentials(stack) == [
            (stack.outputs["clientId"], stack.outputs["clientSecret"]),
            tuple(foreign.values()),
        ]
    stack.set("nocobaseInstallations[0].takeOver", "foreign-id", path=True)
    up(stack, "2027-01-01")
    assert credentials(stack) == [(stack.outputs["clientId"], stack.outputs["clientSecret"])] * 2


def test_a_further_key_in_secret_configuration_serves_up_and_destroy(stack: Stack, elsewhere: BadDay) -> None:
    key = server.api_key(stack.place)
    stack.pulumi("config", "set", "--path", "--secret", "nocobaseApiKeys.sales", key)
    stack.up("--skip-preview")
    assert len(set(credentials(stack))) == 1
    assert key not in stack.state_file.read_text()
    stack.pulumi("destroy", "--yes")
    assert credentials(stack) == [("", "")] * 2
    assert key not in "\n".join(stack.said)
