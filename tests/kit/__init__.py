"""Real servers and helpers that tests share."""
