"""What steps hand each other and what is stored, immutable and typed; standard library only."""
