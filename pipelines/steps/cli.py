"""Installs the Pulumi CLI of the pinned version, unless there is one on PATH: `python -m pipelines.steps.cli`."""

from __future__ import annotations

import os
import shutil
import sys

from pipelines.job_log import say
from pipelines.steps.running import cli_folder
from provisioning.errors import ProvisioningError


def main() -> int:
    """Say where the CLI is, or install it."""
    installed = cli_folder() / "bin" / "pulumi"
    found = shutil.which("pulumi") or (os.fspath(installed) if installed.exists() else None)
    if found is None:
        from pipelines.pulumi_release import install  # noqa: PLC0415 - half a second of imports

        try:
            found = os.fspath(install(cli_folder()))
        except ProvisioningError as error:
            say(str(error))
            return 1
    say(f"Pulumi CLI: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
