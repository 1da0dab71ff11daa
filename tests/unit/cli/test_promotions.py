"""Moving the champion by hand."""

from types import SimpleNamespace

from typer.testing import CliRunner

from cli import promotions
from cli.main import app
from noria.records.alias import Promotion
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from tests.support.fakes import MemoryAliases, MemoryArtifacts
from tests.support.trained import tiny_bundle


def _run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def _promoted(aliases, version):
    revision = aliases.read("tickets").revision
    aliases.apply(
        Promotion("tickets", f"{version}-{revision}", version, revision, "manual", "r", "t", "now")
    )


def test_a_rollback_that_another_promotion_overtook_changes_nothing(monkeypatch):
    """The version to return to is taken from what was seen; unseen changes are not undone."""
    aliases, artifacts = MemoryAliases(), MemoryArtifacts()
    for version in ("v1", "v2", "v3"):
        write_version(artifacts, "tickets", version, tiny_bundle(), VersionFacts())
    for version in ("v1", "v2"):
        _promoted(aliases, version)
    overtaken, read = [], aliases.read

    def overtaking(project):
        """Another promotion comes right after the first look."""
        seen = read(project)
        if overtaken == [True]:
            overtaken.clear()
            _promoted(aliases, "v3")
        return seen

    target = SimpleNamespace(
        aliases=aliases,
        artifacts=artifacts,
        actor="me",
        audited=lambda operation, project, request, do: do(),
    )
    monkeypatch.setattr(promotions, "Target", lambda _: target)
    monkeypatch.setattr(aliases, "read", overtaking)
    overtaken.append(True)
    result = _run("rollback", "tickets")
    assert result.exit_code == 1
    assert "moved the alias" in result.output
    assert read("tickets").champion == "v3"
    assert _run("rollback", "tickets").exit_code == 0  # the control: nobody is faster
    assert (read("tickets").champion, read("tickets").previous_champion) == ("v2", "v3")
