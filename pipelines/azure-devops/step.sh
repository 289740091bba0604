#!/usr/bin/env bash
# step.sh STEP STACK: runs a step with the token that the task AzureCLI@2 has from the service connection.
set -euo pipefail

# The task gives its token these names (addSpnToEnvironment).
# shellcheck disable=SC2154
export ARM_USE_OIDC=true ARM_TENANT_ID="$tenantId" ARM_CLIENT_ID="$servicePrincipalId" ARM_OIDC_TOKEN="$idToken"
exec .venv/bin/python -m "pipelines.steps.$1" "$2"
