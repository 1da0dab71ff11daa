"""Start and stop the embedded AWS emulator. Everything it keeps lies under `.noria/`."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

from infra.names import ROOT

HOST = "127.0.0.1"
DEFAULT_PORT = 4566
REGION, ACCOUNT = "us-east-1", "000000000000"
LAYERS = ROOT / ".noria" / "layers"  # unzipped once for all emulators, by content
ZIPS = ROOT / ".noria" / "zips"  # of layers and functions, made once for all emulators
_START_SECONDS, _STOP_SECONDS = 60.0, 30.0


class Emulator:
    """One emulator: its folder, its port, its process.

    Parameters
    ----------
    folder : Path
        Where state, log and process id are kept.
    port : int
        On the loopback interface only.
    """

    def __init__(self, folder: Path = ROOT / ".noria", port: int | None = None) -> None:
        self.folder = folder
        self._record = folder / "emulator.json"
        known = self._known()
        self.port = port or int(known.get("port", DEFAULT_PORT))
        self.log = folder / "emulator.log"
        self.clock_file = folder / "clock"  # the deployment's time, while the file is there

    @property
    def endpoint_url(self) -> str:
        """Where every AWS call goes."""
        return f"http://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return what points AWS clients, and the CDK command, at the emulator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",  # pragma: allowlist secret
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": REGION,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }

    def is_running(self) -> bool:
        """Return whether the emulator answers."""
        try:
            url = f"{self.endpoint_url}/_ministack/health"
            with urllib.request.urlopen(url, timeout=2) as r:  # noqa: S310 - loopback
                return int(r.status) == 200
        except (URLError, OSError):
            return False

    def start(self) -> bool:
        """Start it unless it runs; return whether it had to be started.

        Raises
        ------
        RuntimeError
            It did not come up; the message holds the end of its log.
        """
        self.clock_file.unlink(missing_ok=True)  # of a simulation that was killed
        if self.is_running():
            pid = self._known().get("pid")
            if pid is None or not _is_ours(int(pid)):
                raise RuntimeError(
                    f"port {self.port} is answered by another emulator; stop that one first"
                )
            return False
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own launcher
                [sys.executable, "-m", "infra.local.launcher", str(self.folder), str(LAYERS)],
                cwd=ROOT,
                env=self._process_environment(work),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._record.write_text(json.dumps({"pid": process.pid, "port": self.port}))
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_running():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-1500:]
                raise RuntimeError(f"the emulator did not start on port {self.port}:\n{tail}")
            time.sleep(0.1)
        return True

    def stop(self) -> bool:
        """Stop the process this folder recorded; return whether there was one.

        Its state is written to disk on the way, and read at the next start.
        """
        pid = self._known().get("pid")
        self._record.unlink(missing_ok=True)
        if pid is None or not _is_ours(int(pid)):
            return False
        os.kill(int(pid), signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while _is_ours(int(pid)):
            if time.monotonic() > deadline:
                os.kill(int(pid), signal.SIGKILL)
                break
            time.sleep(0.1)
        return True

    def _known(self) -> Mapping[str, int]:
        try:
            known: dict[str, int] = json.loads(self._record.read_text())
        except (OSError, ValueError):
            return {}
        return known

    def _process_environment(self, work: Path) -> dict[str, str]:
        # Workers inherit this. Written bytecode makes their next start as quick as on a warm
        # Lambda; on AWS the layers come compiled.
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {
            **inherited,
            **self.environment(),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self.port),
            "TMPDIR": str(work),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "STATE_DIR": str(self.folder / "state"),
            "S3_DATA_DIR": str(self.folder / "s3"),
            "LOG_LEVEL": "WARNING",
            "LAMBDA_WARM_TTL_SECONDS": "60",  # but for one worker of each function
            "AUTH": "true",  # calls are held against the policies of whoever makes them
            # As many functions at once as there are cores: more threads would only wait.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }


def _is_ours(pid: int) -> bool:
    """Return whether a process id is a running launcher, so that no other process is ended."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return _runs_without_proc(pid)
    return b"infra.local.launcher" in command and state != "Z"


def _runs_without_proc(pid: int) -> bool:
    if Path("/proc/self").exists():
        return False
    listed = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "infra.local.launcher" in listed.stdout
