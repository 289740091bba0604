"""The settings of the stack dev: made once, and no part of the project."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from sandbox.dev_stack import BEGINNING, set_nocobase_url, settings_file
from sandbox.place import PROJECT


def test_they_begin_as_a_copy_and_stay_what_they_became(tmp_path: Path) -> None:
    file = settings_file(tmp_path)
    assert file.read_text() == BEGINNING.read_text()
    file.write_text("changed")
    assert settings_file(tmp_path).read_text() == "changed"


def test_the_address_is_set_and_nothing_else(tmp_path: Path) -> None:
    before = yaml.safe_load(BEGINNING.read_text())
    set_nocobase_url(tmp_path, "http://localhost:13001")
    after = yaml.safe_load(settings_file(tmp_path).read_text())
    before["config"]["nocobase-outlook:nocobaseUrl"] = "http://localhost:13001"
    assert after == before


def test_they_are_made_where_the_projects_link_leads(tmp_path: Path) -> None:
    link = tmp_path / BEGINNING.name
    link.symlink_to(os.readlink(PROJECT / BEGINNING.name))
    set_nocobase_url(tmp_path, "http://localhost:13001")
    assert link.is_symlink()
    assert "http://localhost:13001" in (tmp_path / ".sandbox" / BEGINNING.name).read_text()


def test_a_clone_has_the_link_again_after_the_engine_has_removed_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    settings_file(tmp_path)
    link = tmp_path / BEGINNING.name
    assert os.readlink(link) == os.readlink(PROJECT / BEGINNING.name)
    link.unlink()
    set_nocobase_url(tmp_path, "http://localhost:13001")
    assert link.is_symlink()
    assert "http://localhost:13001" in link.read_text()


@pytest.mark.parametrize("name", ["Pulumi.sandbox-sales.yaml", "bootstrap/Pulumi.sandbox-deployer.yaml"])
def test_git_ignores_what_is_set_in_the_sandbox(name: str) -> None:
    ignored = [line for line in (PROJECT / ".gitignore").read_text().splitlines() if line.startswith("/")]
    assert any(Path(f"/{name}").match(pattern) for pattern in ignored)
    listed = ["git", "ls-files", "--", name]
    assert subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=False).stdout == ""
