"""Many processes promote at once: one wins each round. `ROUNDS=200` for the long version."""

import multiprocessing
import os

from noria.errors import AliasConflictError, TransientError
from noria.records.alias import Promotion
from noria_aws.aws.dynamodb import DynamoDbAliases

N_PROCESSES, ROUNDS = 16, int(os.environ.get("ROUNDS", "10"))


def _promote(endpoint, table, project, number, barrier, results):
    """Take part in every round; put (round, winner or None)."""
    import boto3

    client = boto3.client(
        "dynamodb", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    aliases = DynamoDbAliases(client, table)
    for revision in range(ROUNDS):
        barrier.wait()
        promotion = Promotion(
            project, f"p-{revision}-{number}", f"v{revision}-{number}", revision, "manual", "r", "t", "now"
        )  # fmt: skip
        won = None
        while True:
            try:
                aliases.apply(promotion)
                won = number
            except TransientError:
                continue
            except AliasConflictError:
                pass
            break
        results.put((revision, won))


def test_of_sixteen_processes_exactly_one_wins_each_round(target):
    """The record and the history agree on whom."""
    project = f"contract_{os.urandom(6).hex()}"
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(N_PROCESSES), context.Queue()
    arguments = (target.emulator.endpoint_url, target.outputs["AliasTable"], project)
    workers = [
        context.Process(target=_promote, args=(*arguments, number, barrier, results))
        for number in range(N_PROCESSES)
    ]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=600) for _ in range(N_PROCESSES * ROUNDS)]
    for worker in workers:
        worker.join()
    winners = {
        r: [w for round_, w in found if round_ == r and w is not None] for r in range(ROUNDS)
    }
    assert all(len(names) == 1 for names in winners.values())
    entries = list(target.aliases.history(project, limit=1000))[::-1]
    assert [e.model_version for e in entries] == [f"v{r}-{winners[r][0]}" for r in range(ROUNDS)]
    assert target.aliases.read(project).revision == ROUNDS
