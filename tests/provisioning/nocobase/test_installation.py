"""The remedy for a further installation names its own settings."""

from __future__ import annotations

import pytest

from provisioning.errors import Unauthorized, Unreachable
from provisioning.nocobase.installation import SET_API_KEY, own_remedy, remedies_for


@pytest.mark.parametrize(
    ("remedy", "own"),
    [
        ("Correct nocobaseUrl.", "Correct url of sales-eu in nocobaseInstallations."),
        ("Correct nocobaseApp, or create it.", "Correct app of sales-eu in nocobaseInstallations, or create it."),
        (
            "pulumi config set nocobaseTakeOver x",
            "pulumi config set --path 'nocobaseInstallations[<number of sales-eu>].takeOver' x",
        ),
        (
            "Name it: pulumi config set --path nocobaseMapping.collection x",
            "Name it: pulumi config set --path 'nocobaseInstallations[<number of sales-eu>].mapping.collection' x",
        ),
        (
            SET_API_KEY,
            "set NOCOBASE_API_KEY_SALES_EU. Where the stack holds the key encrypted: pulumi config set --path --secret "
            "nocobaseApiKeys.sales-eu",
        ),
        (
            "Correct NOCOBASE_ACCOUNT and NOCOBASE_PASSWORD.",
            "Correct NOCOBASE_ACCOUNT_SALES_EU and NOCOBASE_PASSWORD_SALES_EU.",
        ),
        (
            "pulumi config set --secret --path 'nocobaseHeaders.<name>' <value>",
            "pulumi config set --secret --path 'nocobaseInstallationHeaders.sales-eu.<name>' <value>",
        ),
    ],
)
def test_names_of_its_own(remedy: str, own: str) -> None:
    assert own_remedy(remedy, "sales-eu", elsewhere=True) == own


def test_on_the_main_server_the_main_login_and_headers_are_its_own() -> None:
    for remedy in ("set NOCOBASE_API_KEY.", "pulumi config set --path 'nocobaseHeaders.<name>' <value>"):
        assert own_remedy(remedy, "sales", elsewhere=False) == remedy


@pytest.mark.parametrize(
    ("logins", "remedy"),
    [
        ([""], "Correct nocobaseUrl."),
        (["sales", ""], "Correct url of sales in nocobaseInstallations."),
    ],
)
def test_the_error_stays_the_same_but_for_its_remedy(logins: list[str], remedy: str) -> None:
    with pytest.raises(Unreachable) as caught, remedies_for(logins):
        raise Unreachable("what", "why", "Correct nocobaseUrl.", 503)
    assert (caught.value.what, caught.value.why, caught.value.remedy) == ("what", "why", remedy)
    assert caught.value.status == 503


def test_the_key_of_another_server_is_named() -> None:
    with pytest.raises(Unauthorized, match="NOCOBASE_API_KEY_SALES"), remedies_for(["sales"]):
        raise Unauthorized("what", "why", "set NOCOBASE_API_KEY.")
