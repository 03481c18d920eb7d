"""Early stopping on patients that neither the training nor the audit knows: memorising is what comes after learning.

Watching the audit's own non-members would fit the model to them, and so hide part of what an attack should find.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from torch import Tensor, nn

from mlflow_clinsec.training.options import require

logger = logging.getLogger(__name__)


class EarlyStopping:
    """Called after each epoch; says when to stop, and puts the best epoch's weights back.

    Args:
        model: the model in training. Only its trainable weights are kept, so that LoRA keeps its adapters alone.
        validation_loss: measures the model as it is now; lower is better.
        patience: epochs without enough improvement that are waited for, at least 1.
        least_gain: what an epoch must gain on the best loss to count as improvement, in nats, 0 or more. Memorising
            goes on while the last hundredths are gained.

    Attributes:
        losses: validation loss after each epoch.

    Raises:
        ConfigError: ``patience`` is below 1 or ``least_gain`` below 0.
    """

    def __init__(
        self, model: nn.Module, validation_loss: Callable[[], float], patience: int, least_gain: float = 0.0
    ) -> None:
        require(patience >= 1, "patience", "at least 1", patience)
        require(least_gain >= 0, "least_gain", "0 or more", least_gain)
        self._model = model
        self._validation_loss = validation_loss
        self._patience = patience
        self._least_gain = least_gain
        self._best: dict[str, Tensor] = {}
        self._best_loss = math.inf
        self.losses: list[float] = []

    @property
    def best_epoch(self) -> int:
        """Number of the last epoch that improved enough, counted from 1; 0 before the first."""
        return self.losses.index(self._best_loss) + 1 if self._best else 0

    def __call__(self) -> bool:
        """Measure; True when ``patience`` epochs in a row brought too little."""
        loss = self._validation_loss()
        self.losses.append(loss)
        if loss < self._best_loss - self._least_gain:
            self._best_loss = loss
            self._best = {name: p.detach().clone() for name, p in self._trainable()}
        logger.info("epoch %d: validation loss %.4f (best %.4f)", len(self.losses), loss, self._best_loss)
        return len(self.losses) - self.best_epoch >= self._patience

    def restore(self) -> None:
        """Put the best epoch's weights back; a model that was never measured stays as it is."""
        for name, parameter in self._trainable():
            if name in self._best:
                parameter.data.copy_(self._best[name])

    def _trainable(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self._model.named_parameters() if p.requires_grad]
