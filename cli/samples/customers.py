"""Invented bank customers: who buys a product, with ids, gaps and a campaign's amounts."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from math import exp

CUSTOMER_COLUMNS = (
    "key_value", "codunicocli", "fch_creacion", "p_fecinformacion", "edad", "antiguedad_meses",
    "ingreso_mensual", "saldo_promedio", "n_transacciones", "dias_ultima_compra", "utilizacion_tarjeta",
    "reclamos_12m", "segmento", "canal", "region", "estado_civil", "oficina", "prob_value_contact",
    "monto", "target",
)  # fmt: skip
_SEGMENTS, _CHANNELS = ("masivo", "preferente", "premium"), ("app", "oficina", "web", "teléfono")
_REGIONS = ("Lima", "Arequipa", "Cusco", "Junín", "La Libertad", "Piura")
_STATES = ("soltero", "casado", "divorciado", "unknown")
_SEGMENT_PULL = {"masivo": -0.4, "preferente": 0.2, "premium": 0.7}
_CHANNEL_PULL = {"app": 0.4, "oficina": -0.1, "web": 0.1, "teléfono": -0.3}


def sample_customers(
    n_rows: int,
    *,
    seed: int = 42,
    noise: float = 0.06,
    drift: float = 0.0,
    shuffle_labels: bool = False,
) -> Iterator[tuple[object, ...]]:
    """Yield customers as `CUSTOMER_COLUMNS`; about one in eight buys.

    Parameters
    ----------
    n_rows : int
    seed : int
        Equal arguments give equal customers.
    noise : float in [0, 1]
        Share of customers with a random answer.
    drift : float in [0, 1]
        How far the economy has turned: lower incomes, higher use of cards, and buyers that are
        found in other channels.
    shuffle_labels : bool
        Permute all answers, to see the gate refuse.
    """
    rng = random.Random(seed)
    rows = [_customer(rng, number, noise, drift) for number in range(n_rows)]
    targets = [row[-1] for row in rows]
    if shuffle_labels:
        rng.shuffle(targets)
    for row, target in zip(rows, targets, strict=True):
        yield (*row[:-1], target)


def _customer(rng: random.Random, number: int, noise: float, drift: float) -> tuple[object, ...]:
    segment = rng.choices(_SEGMENTS, weights=(70, 22, 8))[0]
    channel = rng.choices(_CHANNELS, weights=(40, 25, 25, 10))[0]
    income = rng.lognormvariate(8.0 + 0.5 * _SEGMENTS.index(segment) - 0.5 * drift, 0.5)
    balance = income * rng.lognormvariate(0.2, 0.8)
    n_transactions = rng.randint(0, 60)
    idle_days = int(rng.expovariate(1 / 40))
    use = min(1.0, max(0.0, rng.gauss(0.4 + 0.25 * drift, 0.25)))
    complaints = rng.choices((0, 1, 2, 3), weights=(80, 12, 5, 3))[0]
    months, contact = rng.randint(1, 240), rng.betavariate(4, 3)
    pull = (1.0 - drift) * _CHANNEL_PULL[channel] - drift * _CHANNEL_PULL[channel]
    score = (
        -2.6 + _SEGMENT_PULL[segment] + pull + 0.03 * n_transactions - 0.012 * idle_days
        + 1.1 * use - 0.5 * complaints + 0.25 * (months > 60)
    )  # fmt: skip
    buys = rng.random() < 1.0 / (1.0 + exp(-score))
    if rng.random() < noise:
        buys = rng.random() < 0.5
    created = date(2026, 1, 1) - timedelta(days=30 * months)
    return (
        f"K{number:08d}", f"C{rng.randrange(10**9):09d}", created.isoformat(), "2026-01-31",
        rng.randint(18, 80), months, round(income, 2),
        "" if rng.random() < 0.05 else round(balance, 2), n_transactions, idle_days,
        "" if rng.random() < 0.03 else round(use, 3), complaints, segment, channel,
        rng.choice(_REGIONS), rng.choices(_STATES, weights=(45, 40, 10, 5))[0],
        f"oficina {rng.randrange(80):03d}", round(contact, 3), round(income * rng.uniform(2, 10), 2),
        int(buys),
    )  # fmt: skip
