"""What the outputs say of the old client secret: a date that holds, or what its removal waits for."""

from __future__ import annotations

import pytest

from provisioning.program.outputs import end_of_old_secret

DATE, DUE = "2027-04-10T08:00:00Z", "NocoBase has to be restarted."


@pytest.mark.parametrize(
    ("retires", "dues", "said"),
    [
        (DATE, [None], (DATE, None)),
        (DATE, [None, DUE], (None, DUE)),
        (None, [DUE], (None, None)),
    ],
)
def test_a_date_is_promised_only_if_no_restart_comes_first(
    retires: str | None, dues: list[str | None], said: tuple[str | None, str | None]
) -> None:
    assert end_of_old_secret(retires, dues) == said
