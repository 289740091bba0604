"""A stand-in for Entra ID and Microsoft Graph over HTTPS on loopback, with state that survives a restart.

identity: who the sandbox's tenant, deployer and administrator are (imports nothing).
permissions: which application permission each request needs.
federation: issuers of foreign tokens, and the check of what they sign.
claims_expression: the expressions of flexible federated credentials.
policies: how Graph shows the tenant's policies for secrets and for users.
tenant: what a tenant holds; graph_objects: the shape of each object, and what a PATCH makes of it.
rules: what Entra ID rejects; directory: every change of a tenant, by these rules; knows nothing of HTTP.
graph_errors, token_errors: the error bodies of Graph, and of the token endpoint.
tokens: issues and checks access tokens.
query: the OData forms that clients use ($filter, $select, $top).
store: the state file.
clock: the tenant's time, which can be set.
behaviour: what a tenant may be told to do on a bad day; for faults of single requests see sandbox/faults.py.
authority, graph, issuers, browser, own_pages: the routes; http: what they share; server: HTTPS around them.
"""
