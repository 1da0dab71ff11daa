"""What steps hand each other and what is stored, as frozen dataclasses; standard library only."""
