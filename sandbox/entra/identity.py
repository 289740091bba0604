"""Who the sandbox's tenant and its deployer are. Constants only; imports nothing, so anyone may import it."""

from __future__ import annotations

TENANT_ID = "11111111-1111-1111-1111-111111111111"
TENANT_DOMAIN = "sandbox.onmicrosoft.com"
TENANT_NAME = "Sandbox"

DEPLOYER_CLIENT_ID = "33333333-3333-3333-3333-333333333333"
DEPLOYER_OBJECT_ID = "22222222-2222-2222-2222-222222222222"
DEPLOYER_NAME = "Sandbox deployer"
DEPLOYER_SECRET = "sandbox-deployer~opens-only-the-sandbox-on-this-machine"
"""Public on purpose: it is worth nothing anywhere else."""

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
