"""A stand-in for the azuread provider plugin 6.10.0, for machines where the official plugin cannot be had.

It speaks the engine's gRPC protocol on one side and Microsoft Graph over HTTPS on the other, as the real one does, for
the resource types and functions that the program uses. `tests/contract` holds it to recordings of the real provider.

schema, data/schema.json: what each property is (the rules of Check and Diff, as data).
values: the wire format of properties. checking, diffing, state: Check, Diff and the shape of answers; no I/O.
graph: the Graph client with its retries. resource: what every resource type has; each is in a file of its own, and
catalogue lists them. tags, owners: what two of them share. functions: what each function asks of Graph.
provider: the gRPC service. protocol, __main__: the plugin process.
"""
