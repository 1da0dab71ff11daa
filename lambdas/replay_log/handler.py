"""Hand over again what the prediction log had not taken."""

import json
from typing import Any

from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.queues import queue_handler


def replay(record: dict[str, Any]) -> None:
    """Give one message's lines to their stream; a failure brings the message back."""
    message = json.loads(record["body"])
    bootstrap().put_log_lines(message["stream"], message["lines"].encode())


lambda_handler = queue_handler(replay)
