"""State that a team shares: the same story in a folder, in an S3-compatible server, and in Azurite."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from sandbox.backends import servers
from sandbox.backends.servers import Storage
from sandbox.environment import environment
from sandbox.place import Place
from sandbox.project_copy import copy_project
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.e2e

NAME = "shared"
PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE": "correct horse"}


@contextmanager
def folder(place: Place) -> Iterator[Storage]:
    """A folder of this machine."""
    files = place.home / "shared-state"
    files.mkdir()
    yield Storage({"PULUMI_BACKEND_URL": files.as_uri()}, files)


@pytest.mark.parametrize("serve", [folder, servers.s3, servers.azure_blob], ids=["folder", "s3", "azure-blob"])
def test_a_team_shares_one_state(
    stack: Stack, serve: Callable[[Place], AbstractContextManager[Storage]], tmp_path: Path
) -> None:
    servers.install(stack.place, lambda _: None)
    configuration = stack.place.project / f"Pulumi.{NAME}.yaml"
    configuration.write_text(f"config:\n  nocobase-outlook:nocobaseUrl: {nocobase_url(stack.place)}\n")
    with serve(stack.place) as storage:
        shared = {**storage.environment, **PASSPHRASE}
        stack.pulumi("stack", "init", NAME, "--no-select", extra=shared)

        # Two at once: the second is refused while the first one, slowed by azuread's own waits, is at work.
        first = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--stack", NAME, "--non-interactive"],
            cwd=stack.place.project,
            env={**os.environ, **environment(stack.place), **shared, "SANDBOX_AZUREAD_WAITS": "real"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while not stack.applications:
            assert first.poll() is None
        assert "the stack is currently locked by 1 lock" in stack.up("--stack", NAME, ok=False, extra=shared)
        said, _ = first.communicate()
        assert first.returncode == 0, said

        # The secret is in NocoBase, and nowhere in the clear in what is shared.
        client_id, secret = stack.credentials
        assert secret
        assert storage.holds(client_id.encode())
        assert not storage.holds(secret.encode())

        # Another workstation with the repository and the passphrase sees the same stack; without it, nothing.
        other = tmp_path / "other"
        copy_project(other, nocobase_url(stack.place))
        (other / configuration.name).write_text(configuration.read_text())
        elsewhere = Stack(Place(other, stack.place.installed, stack.place.home, stack.place.cache))
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "plugins").symlink_to(stack.place.pulumi_home / "plugins")
        home = {"PULUMI_HOME": str(tmp_path / "home")}
        elsewhere.up("--stack", NAME, "--expect-no-changes", extra={**shared, **home})
        wrong = {**shared, **home, "PULUMI_CONFIG_PASSPHRASE": "wrong"}
        assert "incorrect passphrase" in elsewhere.up("--stack", NAME, ok=False, extra=wrong)

        stack.pulumi("destroy", "--yes", "--skip-preview", "--stack", NAME, extra=shared)
        stack.pulumi("stack", "rm", "--yes", NAME, extra=shared)
        # Removing any stack leaves none selected.
        stack.pulumi("stack", "select", "dev")
    assert stack.credentials == ("", "")
