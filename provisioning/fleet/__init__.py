"""Many stacks on one machine: which ones (`selection`), one after the other or side by side (`runner`, `deploy`)."""
