"""Installs the Pulumi CLI of the pinned version, unless it is there: `python -m pipelines.steps.cli`.

A `pulumi` on PATH counts only if it is of that version.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from pipelines.job_log import say
from pipelines.steps.running import cli_folder
from provisioning import pins
from provisioning.errors import ProvisioningError


def main() -> int:
    """Say where the CLI is, or install it."""
    installed = cli_folder() / "bin" / "pulumi"
    found = os.fspath(installed) if installed.exists() else _on_path()
    if found is None:
        from pipelines.pulumi_release import install  # noqa: PLC0415 - half a second of imports

        try:
            found = os.fspath(install(cli_folder()))
        except ProvisioningError as error:
            say(str(error))
            return 1
    say(f"Pulumi CLI: {found}")
    return 0


def _on_path() -> str | None:
    """The `pulumi` on PATH, if it is of the pinned version."""
    found = shutil.which("pulumi")
    if found is None:
        return None
    ended = subprocess.run([found, "version"], capture_output=True, text=True, errors="replace", check=False)
    return found if ended.stdout.strip() == f"v{pins.version(pins.CLI)}" else None


if __name__ == "__main__":
    sys.exit(main())
