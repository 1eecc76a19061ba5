"""What all apps of a run share: places in flight, the API's health, retries, and the run's budget."""

from harvester.api.traffic.budget import Budget
from harvester.api.traffic.traffic import Traffic

__all__ = ["Budget", "Traffic"]
