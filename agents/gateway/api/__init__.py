"""The gateway's routes, one file an area."""
