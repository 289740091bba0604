"""The product: registers the Entra ID application for NocoBase's email manager and gives NocoBase its credentials."""
