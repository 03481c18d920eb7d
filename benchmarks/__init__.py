"""Measurements: each module prints one JSON object last; nothing here is part of the package."""
