import pytest
from ministack.core import lambda_runtime
from ministack.services import apigateway_v1, lambda_svc

from infra.local import patches


def test_another_worker_script_is_refused(monkeypatch):
    """A silent no-op would make Retry and Catch by name useless again."""
    monkeypatch.setattr(lambda_runtime, "_PYTHON_WORKER_SCRIPT", "print('new')")
    with pytest.raises(RuntimeError, match="error line"):
        patches.report_error_names()


def test_other_signatures_are_refused(monkeypatch, tmp_path):
    """The patched functions are private; their shape is all we know of them."""
    monkeypatch.setattr(lambda_svc, "_resolve_layer_zip", lambda renamed: b"")
    with pytest.raises(RuntimeError, match="parameters of <lambda>"):
        patches.mount_layers_once(tmp_path)
    monkeypatch.setattr(apigateway_v1, "_build_lambda_event_v1", lambda event: event)
    with pytest.raises(RuntimeError, match="headers"):
        patches.pass_api_key_identity()
