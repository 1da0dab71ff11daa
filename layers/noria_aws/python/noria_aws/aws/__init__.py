"""Adapters of the ports, one module per service, and the settings of a deployment."""
