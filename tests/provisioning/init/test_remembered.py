"""The answers of an `init` that was not completed."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.init.remembered import FILE, forget, recall, remember


def test_they_are_kept_for_their_owner_until_they_are_forgotten(tmp_path: Path) -> None:
    answers: dict[str, str | list[str]] = {"stack": "test", "scopes": ["email", "SMTP.Send"]}
    assert remember(tmp_path, answers)
    assert recall(tmp_path) == answers
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    forget(tmp_path)
    forget(tmp_path)
    assert recall(tmp_path) == {}


def test_what_may_hold_a_password_is_not_kept(tmp_path: Path) -> None:
    assert not remember(tmp_path, {"state": "s3://me:s3cr3t@example.com/bucket"})
    assert "s3cr3t" not in (tmp_path / FILE).read_text()


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    assert not remember(tmp_path / "none", {"stack": "test"})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"stack": 1}', '{"stack": "\\u001b[2J"}', '{"scopes": [1]}', "\x00"])
def test_a_file_that_is_not_understood_holds_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert recall(tmp_path) == {}
