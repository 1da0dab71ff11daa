"""Build Lambda layers and functions without Docker: install, strip, compile, the same each time.

Wheels for the target platform come from the hashed `requirements.txt` of the layer, so an x86
laptop builds arm64 layers. Compiled files carry no times, so equal sources give equal bytes.
"""

import argparse
import compileall
import gzip
import hashlib
import io
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from infra.config import PYTHON_VERSION, Architecture, machine
from infra.names import ROOT

MAX_UNZIPPED_BYTES = 250 * 1024 * 1024  # Lambda's limit for a function with its layers
MAX_SERVING_BYTES = 15 * 1024 * 1024  # ours for predict: size is cold start
_COMPILED_UP_TO_BYTES = 20_000_000  # the training layer would not fit Lambda with bytecode
_BUILDER_VERSION = "5"  # raise when this file builds something else from the same sources

_WHEEL_MACHINE = {"arm64": "aarch64", "x86_64": "x86_64"}
_GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
_SHARED_LIBRARIES = "shared_libraries"
_STRIPPED_FOLDERS = ("tests", "test", "__pycache__")
# The database in which optuna can keep studies, and its command line: 27 MiB that nothing imports.
_STRIPPED_PACKAGES = ("alembic", "mako", "markupsafe", "sqlalchemy", "yaml")
_STRIPPED_SUFFIXES = (".pyc", ".pyi", ".pxd", ".pyx", ".h", ".hpp", ".c", ".cpp", ".a")
_NEVER_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.c", "requirements.*", "README.md")
_KERNEL = "noria_kernel"  # the package that a layer's C sources are compiled into


def build(source: Path, target: Path, architecture: Architecture) -> None:
    """Write the unzipped layer or function of `source` into the existing folder `target`.

    Parameters
    ----------
    source : Path
        A folder with code to copy, a `requirements.txt` to install below `python/`, or both.

    Raises
    ------
    ValueError
        It alone is above Lambda's limit.
    """
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=_NEVER_COPIED)
    requirements = source / "requirements.txt"
    if requirements.is_file():
        installed = _installed(requirements, architecture)
        shutil.copytree(installed, target / "python", dirs_exist_ok=True)
        shared = target / "python" / _SHARED_LIBRARIES
        if shared.is_dir():
            shared.rename(target / "lib")
    if require_size([target], MAX_UNZIPPED_BYTES) <= _COMPILED_UP_TO_BYTES:
        _compile(target)


def code_version(architecture: Architecture) -> str:
    """Return the version of the domain's code, as lineage names it."""
    return source_hash(ROOT / "layers" / "noria", architecture)[:12]


def source_archive() -> bytes:
    """Return the code of a SageMaker training job as .tar.gz: equal sources, equal bytes.

    The packages, the specs, the program and the requirements that the image installs.
    """
    out = io.BytesIO()
    requirements = ROOT / "layers" / "training_runtime" / "requirements.txt"
    contents = _packages() | {
        "requirements.txt": requirements.read_bytes(),
        "train.py": b"from noria_aws.jobs.sagemaker import main\n\nmain()\n",
    }
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, body in sorted(contents.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return out.getvalue()


def glue_archive() -> bytes:
    """Return the packages of a Glue job as .zip, the kernel for its machines among them."""
    (source,) = (ROOT / "layers" / "batch_runtime").glob("*.c")
    library = _glue_kernel(source)
    contents = _packages() | {
        f"{_KERNEL}/__init__.py": b"",
        f"{_KERNEL}/{library.name}": library.read_bytes(),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in sorted(contents.items()):
            archive.writestr(zipfile.ZipInfo(name), body, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _glue_kernel(source: Path) -> Path:
    """Return the library for Glue's machines, which are all of one kind; compiled once."""
    digest = hashlib.sha256(_BUILDER_VERSION.encode() + source.read_bytes()).hexdigest()
    package = _kept(f"glue-{digest}", lambda folder: _compile_c(source, folder, "x86_64"))
    return package / source.with_suffix(".so").name


def glue_requirements() -> bytes:
    """Return what a Glue job installs besides, with hashes: of training and of batch, each once."""
    found: dict[str, str] = {}
    for layer in ("training_runtime", "batch_runtime"):
        text = (ROOT / "layers" / layer / "requirements.txt").read_text(encoding="utf-8")
        for entry in re.split(r"\n(?=\S)", text.strip()):
            found[entry.partition("==")[0]] = entry
    return "".join(f"{entry}\n" for _, entry in sorted(found.items())).encode()


def kept_file(name: str, body: bytes) -> Path:
    """Return a file with this content, by which its folder is named; in the venv like the layers."""
    digest = hashlib.sha256(name.encode() + body).hexdigest()
    return _kept(digest, lambda folder: (folder / name).write_bytes(body)) / name


def _kept(name: str, fill: Callable[[Path], object]) -> Path:
    """Return a folder of the venv that `fill` writes once, whole or not at all.

    Two processes may build the same one: the first to finish is kept, the other's copy is dropped.
    """
    kept = Path(sys.prefix) / "noria-layers" / name
    if not kept.is_dir():
        kept.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=sys.prefix) as scratch:
            partial = Path(scratch) / "kept"
            partial.mkdir()
            fill(partial)
            try:
                partial.rename(kept)
            except OSError:
                if not kept.is_dir():
                    raise
    return kept


def _packages() -> dict[str, bytes]:
    """Return our own packages, by path."""
    found = {}
    for layer in ("noria", "noria_aws", "projects"):
        root = ROOT / "layers" / layer / "python"
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found[str(path.relative_to(root))] = path.read_bytes()
    return found


def require_size(folders: Iterable[Path], limit: int) -> int:
    """Return the unzipped size of a function with its layers; ValueError above the limit."""
    size = sum(unzipped_bytes(folder) for folder in folders)
    if size > limit:
        raise ValueError(f"{size:,} bytes unzipped; at most {limit:,} are allowed")
    return size


def source_hash(source: Path, architecture: Architecture) -> str:
    """Return the hash that names what `build` makes of `source`; equal inputs, equal hash."""
    digest = hashlib.sha256(f"{_BUILDER_VERSION}:{PYTHON_VERSION}:{architecture}".encode())
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.name != "README.md":
            digest.update(str(path.relative_to(source)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def unzipped_bytes(folder: Path) -> int:
    """Return the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _installed(requirements: Path, architecture: Architecture) -> Path:
    """Return the stripped packages, installed once into the venv, so that builds need no network."""

    def fill(folder: Path) -> None:
        _install(requirements, folder, architecture)
        _strip(folder)
        if (folder / "optuna").is_dir():
            _strip_studies(folder)
        _share_openmp(folder)
        for source in sorted(requirements.parent.glob("*.c")):
            _compile_c(source, folder / _KERNEL, architecture)

    return _kept(source_hash(requirements.parent, architecture), fill)


def _install(requirements: Path, target: Path, architecture: Architecture) -> None:
    platforms = [f"--platform={glibc}_{_WHEEL_MACHINE[architecture]}" for glibc in _GLIBC]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:"),
        *("--implementation=cp", f"--python-version={PYTHON_VERSION}", *platforms),
        *("--target", str(target), "--requirement", str(requirements)),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if finished.returncode != 0:
        raise RuntimeError(f"installing {requirements} failed:\n{finished.stderr[-2000:]}")


def _strip(target: Path) -> None:
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir() and path.name in _STRIPPED_FOLDERS:
            shutil.rmtree(path)
        elif path.is_file() and path.suffix in _STRIPPED_SUFFIXES:
            path.unlink()
    shutil.rmtree(target / "bin", ignore_errors=True)


def _strip_studies(target: Path) -> None:
    for name in _STRIPPED_PACKAGES:
        shutil.rmtree(target / name)


def _compile_c(source: Path, package: Path, architecture: Architecture) -> None:
    """Compile one C file to a library, for any Lambda architecture, with the compiler of PyPI.

    No fused multiply-add and no reordering: the sums are those of the Python code.
    """
    package.mkdir(exist_ok=True)
    target = f"{_WHEEL_MACHINE[architecture]}-linux-gnu.2.28"
    flags = ("-O2", "-shared", "-fPIC", "-ffp-contract=off", "-Wall", "-Werror", "-s")
    out = package / source.with_suffix(".so").name
    with tempfile.TemporaryDirectory() as scratch:
        finished = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "ziglang", "cc", "-target", target, *flags, "-o", str(out), str(source)],
            capture_output=True, text=True, check=False,
            env={"ZIG_GLOBAL_CACHE_DIR": scratch, "ZIG_LOCAL_CACHE_DIR": scratch, "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    if finished.returncode != 0:
        raise RuntimeError(f"compiling {source} failed:\n{finished.stderr[-2000:]}")


def _share_openmp(packages: Path) -> None:
    """Offer scikit-learn's OpenMP under its usual name: LightGBM expects the system to have it.

    Lambda's does not; it looks in a layer's `lib` folder, which `build` makes of this one.
    """
    bundled = next(packages.glob("scikit_learn.libs/libgomp*"), None)
    if bundled is not None:
        (packages / _SHARED_LIBRARIES).mkdir()
        shutil.copy(bundled, packages / _SHARED_LIBRARIES / "libgomp.so.1")


def _compile(target: Path) -> None:
    """Compile, because a layer is read-only on Lambda and would be compiled at each cold start."""
    compileall.compile_dir(
        target,
        quiet=2,
        stripdir=str(target),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _set_up(names: Iterable[str], architecture: Architecture) -> None:
    """Install layers, so that everything later builds offline."""
    for name in names:
        installed = _installed(ROOT / "layers" / name / "requirements.txt", architecture)
        kernel = installed / _KERNEL
        if (
            architecture == machine() and kernel.is_dir()
        ):  # tests and benchmarks use it from the venv
            site_packages = Path(sysconfig.get_path("purelib"))
            shutil.copytree(kernel, site_packages / _KERNEL, dirs_exist_ok=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Install what layers need, once, into the venv.")
    parser.add_argument("--architecture", choices=_WHEEL_MACHINE, action="append")
    parser.add_argument("layers", nargs="+")
    options = parser.parse_args()
    for chosen in options.architecture or [machine()]:
        _set_up(options.layers, chosen)
