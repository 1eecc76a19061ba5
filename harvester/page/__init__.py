"""The page of `harvester report`: what the ledger, the run files and the landed calls say, on one HTML page.

`values.py`, `counting.py`, `words.py` are pure; `gather.py` with `runs.py` and `landed.py` reads; `plots/` draws what
was found; `html.py` writes it down. Nothing here asks the API anything, takes a lock, or changes the landing zone.
"""
