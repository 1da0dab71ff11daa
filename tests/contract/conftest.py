"""What contracts share: the same promises are held by a fake and by an adapter."""

import os

import pytest


@pytest.fixture
def project() -> str:
    """A project of the test's own."""
    return f"contract_{os.urandom(6).hex()}"
