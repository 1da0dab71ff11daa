"""Spark for tests: a session on this machine, or the reason why there is none."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from infra.local.glue_jobs import missing_spark

needs_spark = pytest.mark.skipif(missing_spark() is not None, reason=str(missing_spark()))


@contextmanager
def spark_session() -> Iterator[Any]:
    """Yield the job's own session, on two cores with 2 GB."""
    from noria_aws.jobs.spark_rows import session

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "PYSPARK_PYTHON", sys.executable)
        patch.setitem(os.environ, "SPARK_LOCAL_IP", "127.0.0.1")
        how = "--master local[2] --driver-memory 2g --conf spark.ui.enabled=false pyspark-shell"
        patch.setitem(os.environ, "PYSPARK_SUBMIT_ARGS", how)
        made = session("tests")
        try:
            yield made
        finally:
            made.stop()
