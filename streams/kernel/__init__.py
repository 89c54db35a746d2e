"""Compiled arithmetic: what is done once a sample, as plain loops that numba turns into machine code."""
