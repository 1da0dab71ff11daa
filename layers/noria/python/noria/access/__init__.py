"""Who may call the API, how often, and what admins did with it."""
