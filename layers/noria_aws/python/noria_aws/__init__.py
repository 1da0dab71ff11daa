"""Everything that knows AWS: settings, clients, adapters of the ports, handler runtime."""
