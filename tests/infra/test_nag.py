"""cdk-nag's AWS Solutions rules: what it finds is known, and each finding has its reason."""

import json

import pytest
from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.config import read_deployment
from infra.names import ROOT
from infra.stacks.platform import PlatformStack
from infra.stacks.storage import StorageStack

ACCEPTED = {
    "AwsSolutions-APIG2": "bodies depend on each project's spec; the handler checks every field",
    "AwsSolutions-APIG3": "a web ACL costs money when idle; attach one where the API is public",
    "AwsSolutions-COG4": "an authorizer of keys of our own; users are machines of one team",
    "AwsSolutions-GL1": "a key of one's own costs a dollar a month; the service encrypts logs anyway",
    "AwsSolutions-GL3": "the job keeps no bookmarks",
    "AwsSolutions-IAM4": "API Gateway's own role to write logs, one an account",
    "AwsSolutions-IAM5": "key prefixes inside one bucket; X-Ray and log delivery know no resource",
    "AwsSolutions-L1": "Python 3.13 is the newest that Glue 6.0 has too",
    "AwsSolutions-S1": "object access is in CloudTrail data events, which the account owner chooses",
}


def _findings(folder):
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= {"aws:cdk:bundling-stacks": [], "noria:alert_email": "team@example.org"}
    app = App(context=context, outdir=str(folder))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    deployment = read_deployment(app.node.get_all_context())
    storage = StorageStack(app, "storage", deployment=deployment)
    PlatformStack(app, "platform", deployment=deployment, storage=storage)
    with pytest.raises(RuntimeError, match="ValidationFailed"):  # cdk-nag's errors stop a synth
        app.synth()
    report = json.loads((folder / "validation-report.json").read_text())
    return {v["ruleName"] for plugin in report["pluginReports"] for v in plugin["violations"]}


def test_every_finding_is_accepted_for_a_reason_and_every_reason_is_needed(tmp_path):
    """A new finding fails; so does an excuse that nothing needs any more."""
    found = _findings(tmp_path)
    assert {rule.partition("[")[0] for rule in found} == set(ACCEPTED)
    assert not [rule for rule in found if "Action::" in rule]
