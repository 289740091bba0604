"""NocoBase: its REST API (`client`), the push (`mail_settings`) and the push as a Pulumi resource (`resource`)."""
