"""Entra ID: its rules and scopes, the plan of the client secrets, and what reads and changes what is there.

`directory` asks Microsoft Graph, through `microsoft_graph`; `registration` is what it answers, as plain data.
"""
