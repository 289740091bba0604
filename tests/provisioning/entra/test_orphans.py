"""Room for a new client secret: which secrets are orphans, which are somebody else's, and when there is no room."""

from __future__ import annotations

import pytest

from provisioning.entra.orphans import StoredSecret, UnrecordedSecrets, classify_secrets, descriptions, reject_if_full
from provisioning.errors import SecretLimitReached

IN_USE = StoredSecret("key-1", "NocoBase mail a 2026-11-21")
ORPHAN = StoredSecret("key-2", "NocoBase mail b 2027-02-19")
RENAMED = StoredSecret("key-3", "Mail (old name) b 2027-02-19")
BY_HAND = StoredSecret("key-4", "made by hand")
OTHER_SLOT = StoredSecret("key-5", "NocoBase mail c 2027-02-19")
LONGER_NAME = StoredSecret("key-6", "my NocoBase mail a 2027-02-19")


@pytest.mark.parametrize(
    ("stored", "orphans", "foreign"),
    [
        ([IN_USE], (), ()),
        ([IN_USE, ORPHAN], (ORPHAN,), ()),
        ([IN_USE, RENAMED], (RENAMED,), ()),
        ([IN_USE, BY_HAND], (), (BY_HAND,)),
        ([BY_HAND, ORPHAN, IN_USE], (ORPHAN,), (BY_HAND,)),
        ([OTHER_SLOT], (), (OTHER_SLOT,)),
        ([LONGER_NAME], (), (LONGER_NAME,)),
    ],
)
def test_only_secrets_of_our_naming_in_no_state_are_orphans(
    stored: list[StoredSecret], orphans: tuple[StoredSecret, ...], foreign: tuple[StoredSecret, ...]
) -> None:
    assert classify_secrets(stored, {"key-1"}, ["NocoBase mail", "Mail (old name)"]) == UnrecordedSecrets(
        orphans, foreign
    )


def test_foreign_secrets_block_only_where_two_are_the_limit() -> None:
    reject_if_full(UnrecordedSecrets((ORPHAN,), ()), 2, two_at_most=True)
    reject_if_full(UnrecordedSecrets((), (BY_HAND,)), 1, two_at_most=True)
    reject_if_full(UnrecordedSecrets((), (BY_HAND,)), 2, two_at_most=False)
    with pytest.raises(SecretLimitReached, match=r"\"made by hand\" \(key-4\).*nothing was changed"):
        reject_if_full(UnrecordedSecrets((), (BY_HAND,)), 2, two_at_most=True)


def test_descriptions_of_earlier_settings_are_known() -> None:
    assert descriptions(["Mail (old name) a 2026-11-21"], "NocoBase mail") == ["Mail (old name)", "NocoBase mail"]
