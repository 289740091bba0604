#!/usr/bin/env bash
# step.sh STEP STACK [OPTION...]: runs a step, signed in by the service connection that the task AzureCLI@2 was given.
set -euo pipefail

# The task names the connection. The token that it has itself is not used: it may be old, and cannot be renewed. With
# SYSTEM_ACCESSTOKEN a new one is asked for by each sign-in.
: "${SYSTEM_ACCESSTOKEN:?map it to \$(System.AccessToken)}"
export ARM_USE_OIDC=true \
  ARM_TENANT_ID="$AZURESUBSCRIPTION_TENANT_ID" \
  ARM_CLIENT_ID="$AZURESUBSCRIPTION_CLIENT_ID" \
  ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID="$AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"
unset ARM_OIDC_TOKEN

step=$1
shift
exec .venv/bin/python -m "pipelines.steps.$step" "$@"
