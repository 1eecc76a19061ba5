"""Where calls land: parts, partitions, the ledger of what is complete."""
