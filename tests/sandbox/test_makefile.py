"""The Makefile and `python -m sandbox` before anything is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from sandbox.place import PROJECT

MAKEFILE = PROJECT / "Makefile"


def test_the_help_fits_on_a_terminal() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert len(shown.splitlines()) == MAKEFILE.read_text().count(" ## ")
    assert max(map(len, shown.splitlines())) <= 80


def test_down_installs_nothing(tmp_path: Path) -> None:
    command = ["make", "--no-print-directory", "-f", str(MAKEFILE), "down"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "The sandbox was not running.\n")
    assert list(tmp_path.iterdir()) == []


def test_the_sandbox_begins_with_the_packages_of_the_setup() -> None:
    locked = (PROJECT / "requirements-setup.txt").read_text()
    allowed = {name.replace("-", "_") for name in re.findall(r"^([\w-]+)==", locked, re.MULTILINE)}
    script = "import sys, sandbox.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    foreign = {name for name in loaded.stdout.split() if not name.startswith("_")} - set(sys.stdlib_module_names)
    assert foreign - allowed == {"provisioning", "sandbox"}
