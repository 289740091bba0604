"""The real NocoBase server from npm on SQLite, with a small plugin as a stand-in for the commercial email manager."""
