"""A CDK app of the storage stack alone, for the test of its return."""

from aws_cdk import App

from infra.config import read_deployment
from infra.stacks.storage import StorageStack

app = App()
deployment = read_deployment(app.node.get_all_context())
StorageStack(app, deployment.stack_name("storage"), deployment=deployment)
app.synth()
