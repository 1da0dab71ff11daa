"""The CDK app: two stacks, one that keeps data and one that may be redeployed at any time."""

from aws_cdk import App

from infra.config import read_deployment
from infra.stacks.platform import PlatformStack
from infra.stacks.storage import StorageStack

app = App()
deployment = read_deployment(app.node.get_all_context())
storage = StorageStack(app, deployment.stack_name("storage"), deployment=deployment)
PlatformStack(app, deployment.stack_name("platform"), deployment=deployment, storage=storage)
app.synth()
