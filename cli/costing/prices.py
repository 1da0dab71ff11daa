"""A dated list of prices, and what a quantity of something costs by it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.names import ROOT
from noria.records.codec import decode

FOLDER = ROOT / "prices"


@dataclass(frozen=True)
class PriceTier:
    """A price up to a quantity a month."""

    up_to: float | None  # None: whatever is above the tiers before
    usd: float


@dataclass(frozen=True)
class Price:
    """What AWS bills for one usage type."""

    service: str
    usage_type: str
    unit: str
    tiers: tuple[PriceTier, ...]
    free: float  # units a month that are never billed, of an account
    what: str

    def usd(self, quantity: float, *, is_free_used: bool) -> float:
        """Return what a month's quantity costs; `is_free_used`: what is free is spent elsewhere.

        Examples
        --------
        >>> price = Price("S", "u", "r", (PriceTier(10, 2.0), PriceTier(None, 1.0)), 3, "")
        >>> price.usd(12, is_free_used=True), price.usd(12, is_free_used=False)
        (22.0, 18.0)
        """
        left = max(quantity - (0.0 if is_free_used else self.free), 0.0)
        total, below = 0.0, 0.0
        for tier in self.tiers:
            width = left if tier.up_to is None else min(left, tier.up_to - below)
            total += width * tier.usd
            left -= width
            below = tier.up_to or below
        return total


@dataclass(frozen=True)
class PriceList:
    """The prices of one region on one day."""

    region: str
    currency: str
    read_on: str
    note: str
    prices: tuple[Price, ...]

    def of(self, name: str) -> Price:
        """Return the price of a usage type: `SERVICE USAGE-TYPE`."""
        return self.by_name()[name]

    def by_name(self) -> Mapping[str, Price]:
        """Return the prices by service and usage type."""
        return {f"{price.service} {price.usage_type}": price for price in self.prices}


def read_prices(region: str, folder: Path = FOLDER) -> PriceList:
    """Return the newest list of a region; ValueError names the regions that there are."""
    found = sorted(folder.glob(f"{region}.*.json"))
    if not found:
        known = sorted({path.name.partition(".")[0] for path in folder.glob("*.????-??.json")})
        raise ValueError(f"there is no price list of {region}; there are: {', '.join(known)}")
    return decode(PriceList, json.loads(found[-1].read_text(encoding="utf-8")))
