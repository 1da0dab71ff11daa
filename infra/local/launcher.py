"""The emulator's process: MiniStack with `infra.local.patches`; started by `emulator.start`."""

import sys
from importlib.metadata import version
from pathlib import Path

MINISTACK_VERSION = "1.5.33"


def main() -> None:
    """Patch and run MiniStack in the foreground; argv[1] is the folder of its state."""
    state = Path(sys.argv.pop(1))
    found = version("ministack")
    if found != MINISTACK_VERSION:
        raise SystemExit(f"MiniStack {found} is installed; the patches fit {MINISTACK_VERSION}")
    from infra.local import patches

    patches.apply(state / "layers", state / "clock")
    from ministack.app import main as run

    run()


if __name__ == "__main__":
    main()
