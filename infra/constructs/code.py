"""Function code and layers as CDK assets, bundled locally."""

from pathlib import Path
from typing import Any

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import bundling
from infra.config import PYTHON_VERSION, Architecture
from infra.names import ROOT

LAYERS = (
    "noria",
    "noria_aws",
    "projects",
    "training_runtime",
    "serving_runtime",
    "report_runtime",
    "batch_runtime",
    "tracking_runtime",
    "embedding_runtime",
)
RUNTIME = lambda_.Runtime(f"python{PYTHON_VERSION}", lambda_.RuntimeFamily.PYTHON)
ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}


@jsii.implements(ILocalBundling)
class _LocalBundling:
    def __init__(self, source: Path, architecture: Architecture) -> None:
        self._source, self._architecture = source, architecture

    def try_bundle(self, output_dir: str, *args: Any, **kwargs: Any) -> bool:
        """Build into CDK's folder; never falls back to Docker."""
        bundling.build(self._source, Path(output_dir), self._architecture)
        return True


def bundled(source: Path, architecture: Architecture) -> lambda_.AssetCode:
    """Return the asset that `infra.bundling.build` makes of a folder."""
    return lambda_.Code.from_asset(
        str(source),
        asset_hash=bundling.source_hash(source, architecture),
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(
            image=DockerImage.from_registry("unused"),
            local=_LocalBundling(source, architecture),
        ),
    )


class Layers(Construct):
    """The layers functions choose from."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        architecture: Architecture,
        tracking: bool,
        embedding: bool,
    ) -> None:
        super().__init__(scope, name)
        unused = {"tracking_runtime": not tracking, "embedding_runtime": not embedding}
        self._layers = {
            layer: lambda_.LayerVersion(
                self,
                layer,
                code=bundled(ROOT / "layers" / layer, architecture),
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[ARCHITECTURES[architecture]],
                description=f"Noria layer {layer}",
            )
            for layer in LAYERS
            if not unused.get(layer)
        }

    def of(self, *names: str) -> list[lambda_.LayerVersion]:
        """Return layers by name, in order."""
        return [self._layers[name] for name in names]
