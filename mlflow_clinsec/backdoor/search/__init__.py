"""Blind search for planted triggers in a classifier: no trigger is named."""
