"""Cohorts for in-hospital mortality from files of MIMIC-III or eICU that the user brings."""
