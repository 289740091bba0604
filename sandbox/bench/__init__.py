"""`make bench`: what a run costs, measured on this machine, in a sandbox of its own beside that of `make up`."""
