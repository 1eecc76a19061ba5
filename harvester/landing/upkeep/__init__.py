"""The landing zone held against the ledger: looked through, healed, and the ledger made anew from it."""
