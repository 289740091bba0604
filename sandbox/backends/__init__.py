"""Storage that a team can share its state in, on this machine: an S3-compatible server and Azure's own Azurite."""
