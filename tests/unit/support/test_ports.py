"""A fake that lacks what its port has is refused when it is defined."""

from typing import Protocol

import pytest

from tests.support.ports import implements


class _Port(Protocol):
    def apply(self, change, *, at): ...


def test_a_fake_with_the_ports_methods_is_taken():
    """Names and parameters are the port's."""

    @implements(_Port)
    class _Fake:
        def apply(self, change, *, at): ...

    assert _Fake.__name__ == "_Fake"


@pytest.mark.parametrize("name", ["promote", "apply"])
def test_a_method_or_parameter_of_another_name_is_refused(name):
    """An override of a method that the port no longer has would do nothing, silently."""
    fake = type("_Old", (), {name: lambda self, promotion, *, at: None})
    with pytest.raises(TypeError, match="apply"):
        implements(_Port)(fake)
