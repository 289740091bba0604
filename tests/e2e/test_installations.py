"""One application for several NocoBase installations: each is served on its own, and none loses the secret it uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox.nocobase import server, sub_applications
from sandbox.nocobase.bad_day import BadDay, trouble
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e import moments
from tests.e2e.conftest import NEW_YEAR, Stack, at
from tests.e2e.moments import Moment

pytestmark = pytest.mark.e2e

SALES = "sales"


@dataclass(frozen=True)
class Both:
    """The sandbox's NocoBase, and its sub-application at an address of its own as the stack's second installation.

    declared: the moment at which nothing is deployed yet. served: after the first `up`.
    """

    elsewhere: BadDay
    declared: Moment
    served: Moment


@pytest.fixture(scope="module")
def both(place: Place, empty: Moment) -> Iterator[Both]:
    """Deployed on 2027-01-01, once for all tests."""
    stack = at(place, empty)
    sub_applications.create(place, SALES)
    with BadDay(nocobase_url(place)) as elsewhere:
        stack.set("nocobasePatienceSeconds", "0")
        declare(stack, elsewhere)
        declared = moments.take(place)
        up(stack, NEW_YEAR["PROVISIONING_TODAY"])
        yield Both(elsewhere, declared, moments.take(place))


@pytest.fixture
def elsewhere(both: Both) -> BadDay:
    """The way to the second installation, on a day of good weather."""
    both.elsewhere.accept()
    both.elsewhere.clear()
    return both.elsewhere


@pytest.fixture
def served(place: Place, both: Both, elsewhere: BadDay) -> Stack:
    """A stack that serves both installations since 2027-01-01."""
    return at(place, both.served)


def declare(stack: Stack, elsewhere: BadDay, name: str = SALES, **more: str) -> None:
    """Declare the second installation."""
    stack.set("nocobaseInstallations", [{"name": name, "url": elsewhere.url, "app": SALES, **more}])


def login(stack: Stack, name: str = SALES) -> dict[str, str]:
    """The second installation's own login."""
    return {f"NOCOBASE_API_KEY_{name.upper()}": server.api_key(stack.place)}


def up(stack: Stack, today: str, ok: bool = True) -> str:
    """`pulumi up` on a certain day."""
    return stack.up(ok=ok, extra={"PROVISIONING_TODAY": today, **login(stack)})


def sales_row(stack: Stack) -> dict[str, str]:
    """The second installation's Microsoft row."""
    row = server.mail_settings_row(stack.place, app=SALES)
    assert row is not None
    return row


def credentials(stack: Stack) -> list[tuple[str, str]]:
    """What the main installation and the further one hold."""
    row = sales_row(stack)
    return [stack.credentials, (row["clientId"] or "", row["clientSecret"] or "")]


def declared(stack: Stack) -> tuple[str, str]:
    """Client ID and client secret that the stack says are in use."""
    return stack.outputs["clientId"], stack.outputs["clientSecret"]


def secrets(stack: Stack) -> set[str]:
    """The display names of the client secrets in Entra ID."""
    (application,) = stack.applications
    return {secret["displayName"] for secret in application["passwordCredentials"]}


def test_both_are_served_and_emptied_also_by_a_key_in_secret_configuration(served: Stack, elsewhere: BadDay) -> None:
    assert credentials(served) == [declared(served)] * 2
    (application,) = served.applications
    assert set(application["web"]["redirectUris"]) == {
        f"{nocobase_url(served.place)}/admin/settings/mail/oauth2",
        f"{elsewhere.url}/apps/sales/admin/settings/mail/oauth2",
    }
    key = server.api_key(served.place)
    served.pulumi("config", "set", "--path", "--secret", "nocobaseApiKeys.sales", key)
    # Only the provider has changed, by the key.
    assert "7 unchanged" in served.up(extra=NEW_YEAR)
    assert key not in served.state_file.read_text()
    served.pulumi("destroy", "--yes", "--skip-preview", extra=NEW_YEAR)
    assert credentials(served) == [("", "")] * 2
    assert key not in "\n".join(served.said)


def test_one_that_is_down_keeps_neither_the_others_nor_its_own_secret_from_working(
    served: Stack, elsewhere: BadDay
) -> None:
    first = declared(served)
    # It is down while a rotation is due: the others rotate, and its own secret stays, however long that takes.
    elsewhere.refuse()
    said = up(served, "2027-04-03", ok=False)
    assert "1 of 2 NocoBase installations are served" in said
    assert f"NocoBase at {elsewhere.url} cannot be reached" in said
    assert "Traceback" not in said
    second = declared(served)
    assert second[1] != first[1]
    assert credentials(served) == [second, first]
    up(served, "2027-06-20", ok=False)
    assert secrets(served) == {"NocoBase mail a 2027-01-01", "NocoBase mail b 2027-04-01"}
    assert credentials(served) == [second, first]

    # It comes back: the old secret stays for its time from then on.
    elsewhere.accept()
    up(served, "2027-06-21")
    assert credentials(served) == [second, second]
    assert served.outputs["oldSecretRetires"] == "2027-06-28T00:00:00Z"
    assert len(secrets(served)) == 2
    up(served, "2027-06-28")
    assert secrets(served) == {"NocoBase mail b 2027-04-01"}


def test_a_leaked_secret_is_not_removed_while_one_still_uses_it(served: Stack, elsewhere: BadDay) -> None:
    first = declared(served)
    served.set("compromisedBefore", "2027-01-10T12:00:00Z")
    elsewhere.add(trouble("server-error", "POST .*mailSettings:", times=None))
    # Nor by a run that goes on after the push has failed.
    served.up("--continue-on-error", ok=False, extra={"PROVISIONING_TODAY": "2027-01-11", **login(served)})
    second = declared(served)
    assert credentials(served) == [second, first]
    assert "NocoBase mail a 2027-01-01" in secrets(served)
    elsewhere.clear()
    up(served, "2027-01-13")
    assert credentials(served) == [second, second]
    assert secrets(served) == {"NocoBase mail b 2027-01-10"}


def test_an_installation_that_is_renamed_keeps_its_credentials(served: Stack, elsewhere: BadDay) -> None:
    before = credentials(served)
    declare(served, elsewhere, "shop")
    renamed = {"PROVISIONING_TODAY": "2027-01-02", **login(served, "shop")}
    assert "is served under another name now" in served.up(extra=renamed)
    assert credentials(served) == before == [declared(served)] * 2
    served.pulumi("destroy", "--yes", "--skip-preview", extra=renamed)
    assert credentials(served) == [("", "")] * 2


def test_credentials_of_somebody_else_in_one_of_them_stay(place: Place, both: Both, elsewhere: BadDay) -> None:
    stack = at(place, both.declared)
    foreign = {"clientId": "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11", "clientSecret": "foreign-secret"}
    stack.nocobase("mailSettings:update", foreign, app=SALES, filterByTk=str(sales_row(stack)["id"]))
    said = up(stack, "2027-01-01", ok=False)
    assert "client ID 5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11" in said
    assert credentials(stack) == [declared(stack), tuple(foreign.values())]
    declare(stack, elsewhere, takeOver="5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11")
    up(stack, "2027-01-01")
    assert credentials(stack) == [declared(stack)] * 2
