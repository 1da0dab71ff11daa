"""Deploy the very same app to the emulator with the real CDK command.

Different from AWS: the endpoint, the account (000000000000), the stage ("local"), and the
architecture layers are built for (this machine's).
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from infra.config import machine
from infra.local.emulator import ACCOUNT, REGION, ZIPS, Emulator
from infra.names import LOCAL_STAGE as STAGE
from infra.names import ROOT

Report = Callable[[str], None]


def deploy(emulator: Emulator, report: Report) -> None:
    """Synthesize, bootstrap and deploy every stack; quick when nothing changed.

    Parameters
    ----------
    report : callable
        Gets a line at each phase.

    Raises
    ------
    RuntimeError
        A CDK command failed; the message holds the end of its output.
    """
    out = emulator.folder / "cdk.out"
    settings = {
        "stage": STAGE,
        "architecture": machine(),
        "clock_file": str(emulator.clock_file),
        "sagemaker_image": "this-machine",
    }
    context = [part for key, value in settings.items() for part in ("-c", f"noria:{key}={value}")]
    app = ["--app", str(out)]
    report("synthesizing the app (the first time builds the layers)")
    run_cdk(emulator, ["synth", "--quiet", "--output", str(out), *context])
    _share_zips(out)
    if not _is_bootstrapped(emulator):
        report("bootstrapping the account")
        run_cdk(emulator, ["bootstrap", f"aws://{ACCOUNT}/{REGION}", *app])
    report("deploying the stacks")
    run_cdk(
        emulator, ["deploy", "--all", "--require-approval", "never", "--concurrency", "2", *app]
    )


def _share_zips(out: Path) -> None:
    """Let the CDK find the archives that it made for another emulator: by content, half a minute.

    It looks for them in a folder of its output, and writes each under another name first.
    """
    ZIPS.mkdir(parents=True, exist_ok=True)
    cache = out / ".cache"
    if cache.is_symlink():  # of a checkout that has been moved since
        cache.unlink()
    if not cache.exists():
        cache.symlink_to(ZIPS)


def _is_bootstrapped(emulator: Emulator) -> bool:
    """Ask the emulator itself: after a crash it has forgotten everything."""
    client = boto3.client(
        "cloudformation",
        endpoint_url=emulator.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator's  # pragma: allowlist secret
    )
    try:
        (stack,) = client.describe_stacks(StackName="CDKToolkit")["Stacks"]
    except ClientError:
        return False
    return str(stack["StackStatus"]).endswith("_COMPLETE")


def run_cdk(emulator: Emulator, arguments: list[str]) -> None:
    """Run the CDK command against an emulator; RuntimeError with the end of what it said."""
    endpoint = emulator.endpoint_url
    if urlsplit(endpoint).hostname != "127.0.0.1":
        raise RuntimeError(f"refusing to deploy: {endpoint} is not the loopback interface")
    # The venv's own node and cdk, whatever else is on the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, **emulator.environment(), "PATH": path}
    finished = subprocess.run(  # noqa: S603
        ["cdk", *arguments],  # noqa: S607
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise RuntimeError(f"cdk {arguments[0]} failed:\n{finished.stdout[-3000:]}")
