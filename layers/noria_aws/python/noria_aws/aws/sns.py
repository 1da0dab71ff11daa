"""`AlertTopic` over SNS."""

import json
from typing import Any

from noria.records.alert import Alert
from noria_aws.aws.client_errors import translated

ALERT_ATTRIBUTE = "alert"  # of the topic's messages: the alert as JSON beside its text


class SnsAlertTopic:
    """`AlertTopic` over SNS: text for e-mail, the alert itself as an attribute for the notifier."""

    def __init__(self, client: Any, topic_arn: str) -> None:
        self._client, self._topic = client, topic_arn

    def publish(self, alert: Alert) -> None:
        """Publish one message; StoreUnavailableError when SNS does not take it."""
        body = json.dumps(alert.to_dict(), ensure_ascii=False)
        with translated(f"publishing {alert.alert_id}"):
            self._client.publish(
                TopicArn=self._topic,
                Subject=alert.subject(),
                Message=alert.plain(),
                MessageAttributes={
                    ALERT_ATTRIBUTE: {"DataType": "String", "StringValue": body},
                    "level": {"DataType": "String", "StringValue": alert.level},
                    "project": {"DataType": "String", "StringValue": alert.project},
                },
            )
