"""A stand-in for NocoBase 3, which is in no package registry: what its public documentation says of its mail plugin."""
