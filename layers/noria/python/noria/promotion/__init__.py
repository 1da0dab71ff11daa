"""The gate: from an evaluation to a promotion decision with reasons."""
