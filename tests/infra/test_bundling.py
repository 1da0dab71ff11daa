"""Layers as they are deployed: small enough, complete, and the same each time."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import bundling
from infra.config import machine
from infra.constructs.code import ARCHITECTURES, LAYERS
from infra.constructs.steps import STEPS
from infra.names import ROOT, project_names

COMMON = ("noria", "noria_aws", "projects")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Every layer and the predict function, built for this machine."""
    folder = tmp_path_factory.mktemp("layers")
    sources = {name: ROOT / "layers" / name for name in LAYERS}
    sources["predict"] = ROOT / "lambdas" / "predict"
    for name, source in sources.items():
        (folder / name).mkdir()
        bundling.build(source, folder / name, machine())
    return folder


def test_every_function_fits_lambda_and_predict_fits_our_own_limit(built):
    """250 MB unzipped is Lambda's, 15 MB is what keeps cold starts short."""
    training = [built / name for name in (*COMMON, "training_runtime")]
    serving = [built / name for name in (*COMMON, "serving_runtime", "predict")]
    assert bundling.require_size(training, bundling.MAX_UNZIPPED_BYTES) > 100_000_000
    assert bundling.require_size(serving, bundling.MAX_SERVING_BYTES) > 500_000
    with pytest.raises(ValueError, match="at most 1,000"):
        bundling.require_size(serving, 1_000)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_layer_leaves_a_tenth_of_lambdas_limit_free(architecture, tmp_path):
    """Wheels of the two architectures differ in size; the next release of one must still fit."""
    sizes = {}
    for name in LAYERS:
        (tmp_path / name).mkdir()
        bundling.build(ROOT / "layers" / name, tmp_path / name, architecture)
        sizes[name] = bundling.unzipped_bytes(tmp_path / name)
    ours = sum(sizes[name] for name in COMMON)
    functions = {name: ours + sizes[name] for name in LAYERS if name not in COMMON}
    functions["tracking_runtime"] += sizes["report_runtime"]
    # Beside the training layer, for one function of projects that ask for it: it just fits.
    with_vectors = functions.pop("embedding_runtime") + sizes["training_runtime"]
    assert with_vectors < 0.99 * bundling.MAX_UNZIPPED_BYTES
    limit = 0.9 * bundling.MAX_UNZIPPED_BYTES
    assert {name: size for name, size in functions.items() if size > limit} == {}
    assert len(functions) == 5
    assert functions["training_runtime"] > limit / 2


def _imports(folders: list[Path], statement: str) -> None:
    """Run a statement with nothing on the path but the standard library and these layers."""
    path = [str(folder / "python") for folder in folders]
    code = f"import sys; sys.path[:0] = {path!r}; {statement}"
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_predict_runs_on_its_layers_alone(built):
    """No package of this machine hides a missing one."""
    layers = [built / name for name in (*COMMON, "serving_runtime")]
    _imports(layers, f"sys.path.insert(0, {str(built / 'predict')!r}); import handler")
    _imports(layers, "from noria.features.text import stemmer; stemmer('spanish')('casas')")
    _imports(layers, "import noria.steps.verify_bundle, noria_aws.serving.ports")


@pytest.mark.parametrize("layer", sorted({step.layer for step in STEPS.values()}))
def test_steps_run_on_their_layers_alone(built, layer):
    """Every step's imports are in its layer; boto3 comes with Lambda."""
    steps = [name for name, step in STEPS.items() if step.layer == layer]
    layers = [built / name for name in (*COMMON, layer)]
    _imports(layers, "; ".join(f"import noria.steps.{name}" for name in steps))


def test_reports_and_tracking_run_on_their_layers_alone(built):
    """Neither brings the training libraries along."""
    layers = [built / name for name in (*COMMON, "report_runtime")]
    _imports(layers, "import noria.steps.write_training_report")
    tracked = [*layers, built / "tracking_runtime"]
    assert bundling.require_size(tracked, bundling.MAX_UNZIPPED_BYTES) > 100_000_000
    _imports(tracked, "from mlflow import MlflowClient; import noria_aws.aws.mlflow_sink")


def test_word_vectors_are_read_from_their_layer(built):
    """With their weights: nothing is fetched."""
    layers = [built / name for name in (*COMMON, "training_runtime", "embedding_runtime")]
    read = "from noria.features.word_vectors import word_vectors as w; assert w(['hola']).any()"
    _imports(layers, read)


def test_batches_run_on_their_layer_alone_with_the_kernel(built):
    """Compiled for Lambda's C library, not this machine's."""
    layers = [built / name for name in (*COMMON, "batch_runtime")]
    assert bundling.require_size(layers, bundling.MAX_UNZIPPED_BYTES) > 100_000_000
    steps = "plan_batch, score_part, close_batch"
    _imports(
        layers,
        f"from noria.steps import {steps}; from noria.columnar.kernel import TreeKernel; "
        "assert TreeKernel.is_built()",
    )


def test_two_processes_may_build_the_same_folder(monkeypatch, tmp_path):
    """The first to finish is kept whole; the second takes it and keeps no copy."""
    monkeypatch.setattr(bundling.sys, "prefix", str(tmp_path))

    def first(folder: Path) -> None:
        (folder / "a").write_text("first")

    def second(folder: Path) -> None:
        bundling._kept("same", first)
        (folder / "a").write_text("second")

    kept = bundling._kept("same", second)
    assert (kept / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["noria-layers"]


def test_a_build_that_fails_keeps_nothing(monkeypatch, tmp_path):
    """The next one starts over instead of taking half a folder."""
    monkeypatch.setattr(bundling.sys, "prefix", str(tmp_path))

    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError):
        bundling._kept("same", fails)
    kept = bundling._kept("same", lambda folder: (folder / "whole").touch())
    assert [path.name for path in kept.iterdir()] == ["whole"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_kernel_is_compiled_for_either_architecture(architecture, tmp_path):
    """On this machine, when the layer was built; the ELF header names the processor."""
    bundling.build(ROOT / "layers" / "batch_runtime", tmp_path, architecture)
    (library,) = tmp_path.rglob("kernel.so")
    assert library.read_bytes()[18] == {"arm64": 183, "x86_64": 62}[architecture]


def test_equal_sources_build_equal_bytes(built, tmp_path):
    """Compiled files carry no time."""
    (tmp_path / "again").mkdir()
    bundling.build(ROOT / "layers" / "noria", tmp_path / "again", machine())
    again, before = tmp_path / "again", built / "noria"
    files = {p.relative_to(again): p.read_bytes() for p in again.rglob("*") if p.is_file()}
    assert files == {
        p.relative_to(before): p.read_bytes() for p in before.rglob("*") if p.is_file()
    }
    assert any(path.suffix == ".pyc" for path in files)


def test_the_hash_follows_source_and_architecture(tmp_path):
    """CDK uploads again exactly when something changed."""
    (tmp_path / "a.py").write_text("x = 1")
    first = bundling.source_hash(tmp_path, "arm64")
    assert (
        first == bundling.source_hash(tmp_path, "arm64") != bundling.source_hash(tmp_path, "x86_64")
    )
    (tmp_path / "a.py").write_text("x = 2")
    assert first != bundling.source_hash(tmp_path, "arm64")


def test_the_archive_of_a_glue_job_works_as_it_lies(tmp_path):
    """Imported from the .zip: specs, stop words and the kernel are found inside; equal bytes."""
    body = bundling.glue_archive()
    assert body == bundling.glue_archive()
    path = tmp_path / "noria.zip"
    path.write_bytes(body)
    program = """
import noria, sys
assert noria.__file__.startswith(sys.argv[1]), noria.__file__
from noria.columnar.kernel import TreeKernel
from noria_aws.handlers.bootstrap import projects_folder
from noria.features.fitting import stop_words
from noria.spec.loader import project_names
print(TreeKernel.is_built(), len(stop_words("spanish")) > 100, *project_names(projects_folder()))
"""
    finished = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={"PYTHONPATH": str(path)}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    is_built, has_words, *names = finished.stdout.split()
    assert has_words == "True"
    assert is_built == str(platform.machine() == "x86_64")
    assert names == project_names()


def test_a_glue_job_installs_each_package_once_and_by_its_hash():
    """As layers do; what both layers need is one entry."""
    entries = re.split(r"\n(?=\S)", bundling.glue_requirements().decode().strip())
    names = [entry.partition("==")[0] for entry in entries]
    assert len(names) == len(set(names))
    assert {"numpy", "scikit-learn", "pyarrow", "pydantic"} <= set(names)
    assert all("--hash=sha256:" in entry for entry in entries)
    for layer in ("training_runtime", "batch_runtime"):
        text = (ROOT / "layers" / layer / "requirements.txt").read_text()
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE):
            assert [e for e in entries if e.startswith(f"{name}=={version}")]
