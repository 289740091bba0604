"""Is there a tenant of this name?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from provisioning.doctor.runner import Outcome
from provisioning.doctor.tenant import ask_tenant, check_tenant

ID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


@pytest.mark.parametrize(
    ("status", "metadata", "outcome", "value"),
    [
        (200, {"issuer": f"https://login.microsoftonline.com/{ID}/v2.0"}, Outcome.OK, ID),
        (200, {"issuer": f"https://sts.windows.net/{ID}"}, Outcome.OK, ID),
        (200, {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}, Outcome.FAILED, None),
        (200, {}, Outcome.FAILED, None),
        (400, {"error": "invalid_tenant"}, Outcome.FAILED, None),
        (503, {}, Outcome.FAILED, None),
    ],
)
def test_the_metadata_name_the_tenant(
    status: int, metadata: Mapping[str, object], outcome: Outcome, value: str | None
) -> None:
    found = check_tenant("example.com", status, metadata)
    assert (found.outcome, found.value) == (outcome, value)


def test_where_entra_id_is_not_reached_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "localhost:9")
    found = ask_tenant("example.com")
    assert found.outcome is Outcome.FAILED
    assert found.said == "Entra ID at https://localhost:9 was not reached"
    assert found.remedy == "Check this machine's internet access; if it needs a proxy, set HTTPS_PROXY."
