"""Who is told how a run ended, and what is said: webhooks. Nothing here can make a run fail, or hold it up for long."""
