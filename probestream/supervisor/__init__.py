"""Keeps the broker and the roles of one machine running."""
