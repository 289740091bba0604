"""A stand-in for Entra ID and Microsoft Graph over HTTPS on loopback, with state that survives a restart.

identity: who the sandbox's tenant, deployer and administrator are (imports nothing).
permissions: which application permission each request needs.
federation: issuers of foreign tokens, and the check of what they sign.
claims_expression: the expressions of flexible federated credentials.
policies: how Graph shows the tenant's policies for secrets and for users.
models: the directory's objects and Entra ID's rules; knows nothing of HTTP.
errors: Graph's and the token endpoint's error bodies.
tokens: issues and checks access tokens.
query: the OData forms that clients use ($filter, $select, $top).
store: the state file.
clock: the tenant's time, which can be set.
behaviour: what a tenant may be told to do on a bad day; for faults of single requests see sandbox/faults.py.
routes, server: HTTP.
"""
