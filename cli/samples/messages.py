"""Invented customer reviews in English, with the tables of their authors and businesses.

A review's stars follow from the business, from how generous its author is, and from chance; its
words follow from its stars, with hedges and asides that belong to any.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Row = dict[str, Any]

_KINDS = {
    "restaurant": ("Restaurants, {}, Food", ["Pizza", "Mexican", "Thai", "Diner", "Vegan"]),
    "bar": ("Nightlife, Bars, {}", ["Cocktail Bars", "Pubs", "Sports Bars", "Wine Bars"]),
    "health": ("Health & Medical, {}", ["Dentists", "Spas", "Fitness", "Chiropractors"]),
    "other": ("Shopping, {}", ["Books", "Hardware", "Pets", "Florists", "Barbers"]),
}
_SUBJECTS = {
    "restaurant": ["the pasta", "our waiter", "the tasting menu", "the kitchen", "brunch", "the soup"],
    "bar": ["the bartender", "the cocktail list", "the terrace", "happy hour", "the music", "the crowd"],
    "health": ["the doctor", "the front desk", "my treatment", "the waiting room", "the therapist", "billing"],
    "other": ["the owner", "the selection", "checkout", "customer service", "the delivery", "the return desk"],
}  # fmt: skip
_SAID = {
    -1: ["was a complete letdown", "took forever and nobody apologised", "was rude from start to finish",
         "was cold, bland and overpriced", "got my order wrong twice", "left me feeling ripped off",
         "was dirty and understaffed", "ruined the evening", "never called back as promised"],
    0: ["was fine, nothing special", "was okay for the price", "had good moments and slow ones",
        "was average at best", "did the job", "could be better, could be worse", "was hit or miss",
        "is decent if you are nearby"],
    1: ["was outstanding", "exceeded every expectation", "made us feel at home", "was worth every penny",
        "could not have been friendlier", "was fast, fresh and delicious", "is the best in town",
        "went above and beyond", "was a lovely surprise"],
}  # fmt: skip
_NEW_SAID = {
    -1: ["crashed at the self-order kiosk", "lost our app booking", "added a surprise service fee"],
    0: ["now runs on QR codes, which is whatever", "is mostly contactless these days"],
    1: [
        "nailed the curbside pickup",
        "made the loyalty app painless",
        "is brilliant since the remodel",
    ],
}
_CLOSINGS = {
    -1: ["Never again.", "I want a refund.", "Avoid!", "One star is generous."],
    0: ["Might return.", "Three stars.", "We will see.", "Not bad, not great."],
    1: ["Highly recommend!", "Five stars!", "We will be back soon!", "Love this place!"],
}
_ASIDES = [
    "Parking was easy.", "We came on a Tuesday.", "My sister had suggested it.", "It rained all day.",
    "We had a coupon.", "It was our second visit.", "The place was half full.", "I had read the reviews.",
]  # fmt: skip
_CITIES = [("Phoenix", "AZ"), ("Tempe", "AZ"), ("Las Vegas", "NV"), ("Henderson", "NV"), ("Toronto", "ON")]  # fmt: skip
_START = datetime(2025, 1, 1, tzinfo=UTC)
YEAR = 365  # days


_POPULATION = 2026


class Messages(NamedTuple):
    """Three tables, as the message project joins them."""

    reviews: list[Row]  # review_id, user_id, business_id, stars, text, date
    users: list[Row]
    businesses: list[Row]


def sample_messages(
    n_rows: int,
    *,
    seed: int = 42,
    noise: float = 0.06,
    drift: float = 0.0,
    shuffle_labels: bool = False,
    first_day: int = 0,
    n_days: int = YEAR,
) -> Messages:
    """Return reviews in time order, with their authors and businesses.

    Parameters
    ----------
    n_rows : int
        Reviews; a tenth as many users and a fortieth as many businesses.
    seed : int
        Equal arguments give equal tables.
    noise : float in [0, 1]
        Share of reviews with random stars.
    drift : float in [0, 1]
        Share of reviews in new words and in a worse mood.
    shuffle_labels : bool
        Permute all stars, to see the gate refuse.
    first_day, n_days : int
        Days since 1 January 2025 that the reviews are spread over.
    """
    people = random.Random(_POPULATION)  # the same whatever the seed: only reviews are new
    users = [_user(people, number) for number in range(max(2, n_rows // 10))]
    businesses = [_business(people, number) for number in range(max(2, n_rows // 40))]
    rng = random.Random(seed)
    reviews = [
        _review(
            rng,
            first_day + n_days * number / n_rows,
            rng.choice(users),
            rng.choice(businesses),
            (noise, drift),
        )
        for number in range(n_rows)
    ]
    if shuffle_labels:
        stars = [review["stars"] for review in reviews]
        rng.shuffle(stars)
        reviews = [review | {"stars": n} for review, n in zip(reviews, stars, strict=True)]
    for number, review in enumerate(reviews):
        review["review_id"] = f"r{seed}-{number:07d}"
    return Messages(reviews, users, businesses)


def _user(rng: random.Random, number: int) -> Row:
    activity = rng.lognormvariate(2.0, 1.0)
    years = sorted(rng.sample(range(2015, 2025), rng.choice([0, 0, 0, 1, 3])))
    return {
        "user_id": f"u{number:06d}",
        "review_count": int(activity) + 1,
        "useful": int(activity * rng.random() * 3),
        "funny": int(activity * rng.random()),
        "cool": int(activity * rng.random()),
        "fans": int(activity * rng.random() / 8),
        "elite": ",".join(map(str, years)),
        "average_stars": round(min(5.0, max(1.0, rng.gauss(3.7, 0.6))), 2),
    }


def _business(rng: random.Random, number: int) -> Row:
    kind = rng.choices(list(_KINDS), weights=(50, 20, 10, 20))[0]
    template, details = _KINDS[kind]
    city, state = rng.choice(_CITIES)
    return {
        "business_id": f"b{number:05d}",
        "city": city,
        "state": state,
        "stars": min(5.0, max(1.0, round(rng.gauss(3.7, 0.7) * 2) / 2)),
        "review_count": int(rng.lognormvariate(3.5, 1.0)),
        "is_open": int(rng.random() < 0.9),
        "categories": template.format(rng.choice(details)),
    }


def _review(
    rng: random.Random, day: float, user: Row, business: Row, shares: tuple[float, float]
) -> Row:
    noise, drift = shares
    is_new = rng.random() < drift
    mood = 0.5 * user["average_stars"] + 0.5 * business["stars"] + rng.gauss(0.35, 1.1)
    stars = min(5, max(1, round(mood - (1.0 if is_new else 0.0))))
    text = _text(rng, business, (stars > 3) - (stars < 3), is_new)
    if rng.random() < noise:
        stars = rng.randint(1, 5)
    return {
        "review_id": "",
        "user_id": user["user_id"],
        "business_id": business["business_id"],
        "stars": stars,
        "text": text,
        "date": (_START + timedelta(days=day)).replace(microsecond=0).isoformat(),
    }


def _text(rng: random.Random, business: Row, tone: int, is_new: bool) -> str:
    kind = next(
        (k for k, (template, _) in _KINDS.items() if business["categories"].startswith(template[:6])),
        "other",
    )  # fmt: skip
    sentences = list(_sentences(rng, kind, tone, is_new))
    rng.shuffle(sentences)
    # People who write in new words do not close in the old ones.
    is_closed = rng.random() < 0.7 and not is_new
    return " ".join([*sentences, rng.choice(_CLOSINGS[tone])] if is_closed else sentences)


def _sentences(rng: random.Random, kind: str, tone: int, is_new: bool) -> Iterator[str]:
    for _ in range(rng.randint(1, 4)):
        # People hedge: a sentence may be of a neighbouring tone.
        said = max(-1, min(1, tone + rng.choices((0, -1, 1), weights=(76, 12, 12))[0]))
        phrases = _NEW_SAID[said] if is_new else _SAID[said]
        subject = rng.choice(_SUBJECTS[kind])
        yield f"{subject[0].upper()}{subject[1:]} {rng.choice(phrases)}."
    if rng.random() < 0.5:
        yield rng.choice(_ASIDES)
