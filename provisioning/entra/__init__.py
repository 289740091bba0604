"""Entra ID: its rules and scopes, the plan of the client secrets, and who reads and changes what is there."""
