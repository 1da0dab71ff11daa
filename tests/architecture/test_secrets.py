"""The two looks for faults of safety in `make check` find them, and each exception has its reason."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.names import ROOT

SCANNER = Path(sys.executable).parent / "detect-secrets-hook"
WITHOUT_REASON = {"S603", "S607"}  # a process of our own, named where it is started
CHECKED = ("cli", "infra", "lambdas", "layers")


@pytest.mark.parametrize(
    ("text", "is_found"),
    [("AKIA" + "IOSFODNN7EXAMPLQ", True), ("noria_" + "channels", False)],
    ids=["a key", "a name"],
)
def test_a_key_that_is_written_into_a_file_is_found(tmp_path, text, is_found):
    """The control of the scan over all files."""
    path = tmp_path / "settings.py"
    path.write_text(f'value = "{text}"\n')
    done = subprocess.run([SCANNER, str(path)], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode != 0) == is_found


def test_every_exception_from_bandits_rules_says_why():
    """`# noqa: S310 - http(s) only`: whoever reads it can judge it."""
    bare = []
    for path in (p for folder in CHECKED for p in (ROOT / folder).rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = re.search(r"# noqa: ([A-Z0-9, ]+)(.*)", line)
            rules = set(re.findall(r"S\d{3}", found[1])) if found else set()
            if rules - WITHOUT_REASON and not found[2].strip().startswith("-"):
                bare.append(f"{path.relative_to(ROOT)}:{number}")
    assert bare == []
