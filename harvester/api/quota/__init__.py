"""What one app may send now: its quota, its pauses, and what the API's figures say."""

from harvester.api.quota.figures import Figure
from harvester.api.quota.limits import Limits
from harvester.api.quota.own import Permit
from harvester.api.quota.pauses import Limit
from harvester.api.quota.permits import Quota
from harvester.api.quota.reading import Reading

__all__ = ["Figure", "Limit", "Limits", "Permit", "Quota", "Reading"]
