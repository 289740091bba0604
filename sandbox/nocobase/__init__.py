"""The real NocoBase server from npm on SQLite, with a small plugin that stands in for the commercial email manager."""
