"""One dashboard and the alarms: errors, latency, lost logs, no champion, failed runs, dead letters."""

from collections.abc import Mapping

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config import Deployment
from infra.constructs.prediction_api import PredictionApi
from infra.constructs.prediction_log import PredictionLogStreams

_FIVE_MINUTES = Duration.minutes(5)
_SLOW_MS = 1000.0  # p95 of a predict request
_LATE_SECONDS = 900  # that a prediction may need into the bucket: 15 times Firehose's buffer


class Observability(Construct):
    """Everything to look at, and everything that calls."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        alerts: sns.ITopic,
        machines: Mapping[str, sfn.StateMachine],
        dead_letters: Mapping[str, sqs.Queue],
        prediction: PredictionApi,
        streams: PredictionLogStreams,
    ) -> None:
        super().__init__(scope, name)
        self._action = actions.SnsAction(alerts)
        self._namespace = deployment.metric_namespace
        failed = {n: m.metric_failed(period=_FIVE_MINUTES) for n, m in machines.items()}
        depths = {
            name: queue.metric_approximate_number_of_messages_visible(period=_FIVE_MINUTES)
            for name, queue in dead_letters.items()
        }
        # What the API could not answer, crashes and timeouts too.
        server_errors = prediction.api.metric_server_error(period=_FIVE_MINUTES)
        self._alarm("RequestsFailed", server_errors, 1, "the API answered 5xx")
        self._alarm("Throttled", prediction.throttles, 1, "predict had no free execution")
        for project, metric in streams.freshness().items():
            self._alarm(f"LogLate-{project}", metric, _LATE_SECONDS,
                        f"predictions of {project} do not reach the bucket, s")  # fmt: skip
        waiting = streams.fallback.metric_approximate_age_of_oldest_message(period=_FIVE_MINUTES)
        self._alarm("LogWaits", waiting, _LATE_SECONDS, "predictions wait to be logged again, s")
        self._alarm("SlowAnswers", self._own("LatencyMs", "p95"), _SLOW_MS, "p95 of predict, ms")
        self._alarm("LogLost", self._own("PredictionsNotLogged"), 1, "predictions left no trace")
        self._alarm(
            "NoChampion", self._own("NoChampion"), 1, "requests for a project without champion"
        )
        refused = self._own("ModelsRefused")
        self._alarm(
            "ModelRefused", refused, 1, "a model cannot be loaded or fails; the last one serves"
        )
        for machine, metric in failed.items():
            self._alarm(f"{machine}Failed", metric, 1, f"{machine.lower()} executions failed")
        for queue, metric in depths.items():
            self._alarm(
                f"{queue}DeadLetters", metric, 1, f"messages that could not be processed: {queue}"
            )
        # Dashboards have one name in an account, whatever the region.
        board = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=f"noria-{deployment.stage}-{Stack.of(self).region}"
        )
        board.add_widgets(
            _graph("Predictions", [self._own("Predictions")]),
            _graph("Latency, ms", [self._own("LatencyMs", p) for p in ("p50", "p95", "p99")]),
            _graph("Not answered", [self._own("RequestsFailed"), self._own("NoChampion")]),
        )
        board.add_widgets(
            _graph("Not logged", [self._own("PredictionsNotLogged")]),
            _graph("Failed executions", list(failed.values())),
            _graph("Dead letters", list(depths.values())),
        )

    def _own(self, name: str, statistic: str = "Sum") -> cloudwatch.Metric:
        """Return one of the metrics that predict writes into its log."""
        return cloudwatch.Metric(
            namespace=self._namespace,
            metric_name=name,
            statistic=statistic,
            period=_FIVE_MINUTES,
        )

    def _alarm(self, name: str, metric: cloudwatch.IMetric, threshold: float, text: str) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"Noria: {text}",
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)


def _graph(title: str, metrics: list[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=metrics, width=8)
