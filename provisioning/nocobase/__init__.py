"""NocoBase: its REST API (`client`), the push (`push`), and what the engine knows of it (`mail_settings`)."""
