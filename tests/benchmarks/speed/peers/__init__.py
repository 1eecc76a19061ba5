"""The peers: the same work by other frameworks, each a program of its own environment, as an expert would write it."""
