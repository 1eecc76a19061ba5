"""A stand-in for the API on loopback: its wire, seeded calls, a switch for every unknown, and faults.

Nothing in here is used by a real run; nothing in here needs memory in proportion to the calls it serves.
"""
