"""The emulator's process: MiniStack, patched and guarded; started by `emulator.start`."""

import sys
from importlib.metadata import version
from pathlib import Path

from infra.local.guard import guarded

MINISTACK_VERSION = "1.5.33"


def main() -> None:
    """Patch and run MiniStack in the foreground; argv has the folders of its state and of layers."""
    state, layers = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
    found = version("ministack")
    if found != MINISTACK_VERSION:
        raise SystemExit(f"MiniStack {found} is installed; the patches fit {MINISTACK_VERSION}")
    from infra.local import patches

    patches.apply(layers, state)
    from ministack import app

    app.app = guarded(app.app)
    app.main()


if __name__ == "__main__":
    main()
