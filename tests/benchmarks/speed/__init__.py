"""harvester and its peers, side by side: the same work, over a server that is not the bottleneck."""
