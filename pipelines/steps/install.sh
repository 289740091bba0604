#!/usr/bin/env bash
# Installs what every other step needs: the locked Python packages in .venv, and the Pulumi CLI where there is none.
set -euo pipefail

if [ ! -x .venv/bin/python ]; then
  python3 -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
exec .venv/bin/python -m pipelines.steps.cli
