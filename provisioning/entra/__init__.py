"""Entra ID: what is declared (`application`), by which rules (`rules`, `scopes`), and the secrets (`rotation`)."""
