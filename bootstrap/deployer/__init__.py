"""What a pipeline needs to deploy: `settings`, the tokens that may sign in (`federation`), and the `application`."""
