"""The two stacks."""
