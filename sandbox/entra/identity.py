"""Who the sandbox's tenant, deployer and administrator are. Constants: imports nothing, so anyone may import it."""

from __future__ import annotations

TENANT_ID = "11111111-1111-1111-1111-111111111111"
TENANT_DOMAIN = "sandbox.onmicrosoft.com"
TENANT_NAME = "Sandbox"

DEPLOYER_CLIENT_ID = "33333333-3333-3333-3333-333333333333"
DEPLOYER_OBJECT_ID = "22222222-2222-2222-2222-222222222222"
DEPLOYER_NAME = "Sandbox deployer"
DEPLOYER_SECRET = "sandbox-deployer~opens-only-the-sandbox-on-this-machine"
"""Public on purpose: it is worth nothing anywhere else."""

ADMINISTRATOR_CLIENT_ID = "55555555-5555-5555-5555-555555555555"
ADMINISTRATOR_OBJECT_ID = "66666666-6666-6666-6666-666666666666"
ADMINISTRATOR_NAME = "Sandbox administrator"
ADMINISTRATOR_SECRET = "sandbox-administrator~opens-only-the-sandbox-on-this-machine"
"""As public as the deployer's."""

PEOPLE = frozenset(
    {"44444444-4444-4444-4444-444444444444", *(f"aaaaaaaa-0000-0000-0000-00000000000{digit}" for digit in range(1, 10))}
)
"""Object ids of the tenant's users: nobody else can be an owner, except for service principals."""

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
