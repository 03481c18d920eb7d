"""Filters that stand before a suspected model and stop triggered inputs: STRIP, ONION and RAP."""
