"""NocoBase 3: its configuration, its REST API (`server`), and the push as a Pulumi resource (`push_resource`)."""
