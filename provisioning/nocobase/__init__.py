"""NocoBase: its REST API (`client`), the push (`push`) and the push as a Pulumi resource (`mail_settings`)."""
