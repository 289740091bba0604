#!/usr/bin/env bash
# Installs what every other step needs: the locked Python packages in .venv, those of the policy pack that POLICY_PACK
# names in its own, and the Pulumi CLI of the pinned version.
set -euo pipefail

# What is installed needs no secret. GitLab gives every variable to every command of a job. Logins of further
# installations have a name at the end.
unset "${!NOCOBASE_API_KEY@}" "${!NOCOBASE_ACCOUNT@}" "${!NOCOBASE_PASSWORD@}" \
  PULUMI_CONFIG_PASSPHRASE PULUMI_ACCESS_TOKEN ARM_OIDC_TOKEN ARM_CLIENT_SECRET AZURE_CLIENT_SECRET AZURE_STORAGE_KEY AZURE_STORAGE_SAS_TOKEN \
  AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN GOOGLE_CREDENTIALS CI_JOB_TOKEN GITHUB_TOKEN GITLAB_TOKEN SYSTEM_ACCESSTOKEN

if [ ! -x .venv/bin/python ]; then
  python3 -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt

pack=${POLICY_PACK:-}
pack=${pack%%=*}
if [ -n "$pack" ] && [ -f "$pack/requirements.txt" ]; then
  if [ ! -x "$pack/.venv/bin/python" ]; then
    python3 -m venv "$pack/.venv"
  fi
  "$pack/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    --requirement "$pack/requirements.txt"
fi

exec .venv/bin/python -m pipelines.steps.cli
