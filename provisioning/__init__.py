"""The product: registers the Entra ID application for NocoBase's email manager and gives NocoBase its credentials."""

__version__ = "0.9.0"
