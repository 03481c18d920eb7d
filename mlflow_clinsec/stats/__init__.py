"""ROC, intervals, resampling, tests and power over plain arrays."""
