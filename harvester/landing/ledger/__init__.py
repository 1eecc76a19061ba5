"""The ledger: what is complete, with the evidence; where to go on; what is being published. The only truth."""

from harvester.landing.ledger.days import Known, Ledger

__all__ = ["Known", "Ledger"]
