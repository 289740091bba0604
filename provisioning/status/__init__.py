"""What is there now: read from three sides (`read`), compared (`compare`), and shown."""
