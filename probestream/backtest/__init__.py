"""Rules tried on the past: what would have fired, beside what did, and beside other rules."""
