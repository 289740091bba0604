"""A `pulumi` that answers from files, for tests of the commands beside it that need no engine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """#!{python} -IS
import json, pathlib, sys
folder, arguments = pathlib.Path(__file__).parent, sys.argv[1:]
with (folder / "asked").open("a") as log:
    print(json.dumps(arguments), file=log)
stack = arguments[arguments.index("--stack") + 1] if "--stack" in arguments else "prod"
file = folder / {{
    "stack export": f"{{stack}}.export",
    "config --json": f"{{stack}}.config",
    "stack ls": "stacks",
    "stack init": "nothing",
    "stack --show-name": "name",
    "about --json": f"{{stack}}.about",
    "config set-all": "nothing",
    "whoami --json": "whoami",
}}[" ".join(arguments[:2])]
if not file.exists():
    sys.exit(f"error: no stack named '{{stack}}' found")
print(file.read_text())
"""


@dataclass(frozen=True)
class FakePulumi:
    """A folder with the command and its answers."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables that put it first on PATH, and set the clock that the commands go by."""
        return {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "ARM_METADATA_HOSTNAME": "localhost:9",
            "PROVISIONING_TODAY": "2027-04-05T12:00:00Z",
        }

    @property
    def asked(self) -> list[list[str]]:
        """The arguments of every call."""
        log = self.folder / "asked"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def fake_pulumi(
    folder: Path, exports: Mapping[str, str], config: Mapping[str, object] | None = None, broken: str | None = None
) -> FakePulumi:
    """A `pulumi` with these stacks; the first is the selected one. broken: one that is listed and cannot be read."""
    command = folder / "pulumi"
    command.write_text(SCRIPT.format(python=sys.executable))
    command.chmod(0o755)
    for name, printed in exports.items():
        (folder / f"{name}.export").write_text(printed)
        (folder / f"{name}.config").write_text(json.dumps(config or {}))
        about = {"currentStack": {"fullyQualifiedName": f"organization/nocobase-outlook/{name}"}}
        (folder / f"{name}.about").write_text(json.dumps(about))
    names = [*exports, *([broken] if broken else [])]
    (folder / "stacks").write_text(json.dumps([{"name": name} for name in names]))
    (folder / "name").write_text(names[0])
    (folder / "nothing").touch()
    (folder / "whoami").write_text(json.dumps({"url": "file://~", "user": "me"}))
    return FakePulumi(folder)
