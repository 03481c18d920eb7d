"""mlflow_clinsec: privacy and integrity audits of clinical language models inside MLflow.

Importing the package is cheap on purpose: MLflow imports evaluator plug-ins in every process that calls
``mlflow.models.evaluate``, so nothing heavy may be loaded before an audit is asked for.
"""

__version__ = "0.1.0"
