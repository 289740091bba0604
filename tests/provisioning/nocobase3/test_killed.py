"""A run that is killed at any step of a push leaves a whole configuration, and the next run converges."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.entra.client_secret_plan import Slot
from provisioning.errors import Interrupted
from provisioning.nocobase3 import commands
from provisioning.nocobase3.places import LEFT_OVER, LocalFile
from sandbox.nocobase3.stand_in import StandIn, checked
from tests.provisioning.nocobase3.conftest import CONFIG
from tests.provisioning.nocobase3.stack import Killed, RunFailed, Stack

STEPS: tuple[tuple[object, str], ...] = (
    (tempfile, "mkstemp"),
    (shutil, "copystat"),
    (os, "fsync"),
    (Path, "replace"),
    (commands, "run"),
    (StandIn, "answer"),
)
"""What a push does that a kill may come before or after."""


class Kill:
    """Ends the run at the step `at`, before or after it is carried out; killed, it tidies nothing up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, by: BaseException | None = None) -> None:
        self.by = by or Killed()
        self.at, self.after, self.count = 0, False, 0
        for owner, name in STEPS:
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))
        unlink = Path.unlink

        def unlinked(path: Path, *given: Any, **options: Any) -> None:
            if by or not self.at or self.count < self.at:
                unlink(path, *given, **options)

        monkeypatch.setattr(Path, "unlink", unlinked)

    def arm(self, at: int, after: bool) -> None:
        """Kill at a step of the next run."""
        self.at, self.after, self.count = at, after, 0

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **options: Any) -> Any:
            self.count += 1
            if self.at and self.count == self.at and not self.after:
                raise self.by
            done = step(*given, **options)
            if self.at and self.count == self.at:
                raise self.by
            return done

        return counted


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("deployed", "text"),
    [(False, CONFIG), (False, "app: {}\n"), (True, CONFIG)],
    ids=["first push", "first push without providers", "rotation"],
)
def test_a_kill_at_every_step(
    deployed: bool, text: str, after: bool, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.config.write_text(text, encoding="utf-8")

    def restart() -> int:
        stack.server.start()
        return 0

    stack.restarts = restart
    if deployed:
        stack.up()
        stack.pass_days(90)
    config = stack.config.read_bytes()
    state = (stack.push, dict(stack.passwords), stack.served)
    kill = Kill(monkeypatch)
    steps = 0
    while True:
        steps += 1
        stack.push, stack.passwords, stack.served = state[0], dict(state[1]), state[2]
        stack.config.write_bytes(config)
        stack.server.start()
        kill.arm(steps, after)
        try:
            stack.up()
        except Killed:
            checked(stack.config.read_bytes())
            assert stack.config.read_bytes().startswith(text.encode())
            kill.arm(0, after)
            stack.up()
            slot = Slot.B if deployed else Slot.A
            used = stack.server.provider("outlook")
            assert used is not None
            assert used["clientSecret"] == stack.passwords[slot]["value"]
            assert stack.push is not None
            assert stack.push["slot"] == slot
            assert stack.up() == "same"
            if not deployed:
                stack.destroy()
                assert stack.config.read_text(encoding="utf-8") == text
            continue
        break
    assert steps > 8
    assert [path.name for path in stack.config.parent.iterdir()] == ["config.yml"]


@pytest.mark.parametrize("several", [False, True])
def test_an_interruption_at_every_step(several: bool, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is cancelled tidies up, and records what the configuration holds: `destroy` takes it back."""

    def restart() -> int:
        stack.server.start()
        return 0

    stack.restarts, stack.more = restart, {"several": several}
    interruption = Kill(monkeypatch, Interrupted("Interrupted."))
    for step in range(1, 100):
        stack.push, stack.passwords, stack.served = None, {}, False
        stack.config.write_text(CONFIG, encoding="utf-8")
        stack.server.start()
        interruption.arm(step, after=False)
        try:
            stack.up()
        except RunFailed:
            interruption.arm(0, after=False)
            assert [path.name for path in stack.config.parent.iterdir()] == ["config.yml"]
            written = stack.config.read_text(encoding="utf-8") != CONFIG
            assert bool(stack.push) in (written, several)
            if stack.push:
                stack.destroy()
            assert stack.config.read_text(encoding="utf-8") == CONFIG
            continue
        break
    assert step > 8


CHILD = """
import os, shutil, signal, sys, tempfile
from pathlib import Path
from provisioning.nocobase3.places import LocalFile
owners = {"mkstemp": tempfile, "copystat": shutil, "fsync": os, "replace": Path}
name, after = sys.argv[2], sys.argv[3] == "after"
step = getattr(owners[name], name)
def killed(*given, **options):
    done = step(*given, **options) if after else None
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owners[name], name, killed)
place = LocalFile(Path(sys.argv[1]))
place.write(b"new: content\\n", place.read().version)
"""


@pytest.mark.proof
@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize("step", ["mkstemp", "copystat", "fsync", "replace"])
def test_a_process_that_is_killed_while_it_writes(step: str, after: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("old: content\n")
    config.chmod(0o640)
    child = subprocess.run([sys.executable, "-c", CHILD, str(config), step, after], check=False)
    assert child.returncode == -signal.SIGKILL
    assert config.read_text() == ("new: content\n" if (step, after) == ("replace", "after") else "old: content\n")
    place = LocalFile(config)
    place.write(b"next: content\n", place.read().version)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yml"]
    assert config.stat().st_mode & 0o777 == 0o640


def test_what_an_interrupted_write_leaves_is_recognised_by_its_name(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(json.dumps({}))
    left, other = tmp_path / f".config.yml.x{LEFT_OVER}", tmp_path / ".other.yml.x"
    left.write_text("secret")
    other.write_text("stays")
    LocalFile(config).write(b"a: 1\n", LocalFile(config).read().version)
    assert not left.exists()
    assert other.exists()
