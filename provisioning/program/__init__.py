"""What `pulumi up` runs: settings, the last state, what is prepared (`prepare`), the application, and the outputs."""
