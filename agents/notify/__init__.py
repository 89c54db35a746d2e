"""Alerts in; messages to people out, with a ledger."""
