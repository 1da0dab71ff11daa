"""What a deployment to the emulator does beside calling the CDK."""

from infra.local import deploy


def test_emulators_share_the_archives_that_the_cdk_makes(tmp_path, monkeypatch):
    """The CDK looks for them beside its output; a folder that is there already stays."""
    monkeypatch.setattr(deploy, "ZIPS", tmp_path / "zips")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / ".cache").symlink_to(tmp_path / "moved away")
    for name in ("one", "two"):
        deploy._share_zips(tmp_path / name)
    (tmp_path / "one" / ".cache" / "abc.zip").write_bytes(b"z")
    deploy._share_zips(tmp_path / "two")
    assert (tmp_path / "two" / ".cache" / "abc.zip").read_bytes() == b"z"
