"""What is logged of a training, every `trainer.log_every_n_steps` and at each validation.

| name (after the stage, as in `mvtm/`)     | what                                                                     |
| ----------------------------------------- | ------------------------------------------------------------------------ |
| `loss`                                    | the loss that is minimised, of this step                                 |
| `lr`                                      | the learning rate of this step                                           |
| `gradient_norm`                           | of all gradients together, before clipping                               |
| `images_per_second`, `tokens_per_second`  | since the last row, over all devices, without validation                 |
| `data_wait`                               | the share of that time spent waiting for data, in [0, 1]                 |
| `gpu_memory_gib`                          | the most that was allocated on the GPU so far, in GiB                    |
| `masked_accuracy`                         | of the predicted masked tokens, a fraction in [0, 1]                     |
| `loss_masked_0_25` ... `_75_100`          | the loss of the images with this percentage of their tokens masked       |
| `accuracy`                                | of the next token, over all tokens, a fraction in [0, 1]                 |
| `pixel`, `codebook`, `commitment`, ...    | each loss of the tokenizer, without its weight                           |
| `weighted_pixel`, ...                     | the same with its weight: its share in `loss`                            |
| `losses/grad_ratio_perceptual`, ...       | the norm of the weighted loss's gradient at the decoder's last layer,    |
|                                           | over that of the pixel loss                                              |
| `discriminator`, `r1`                     | the losses of the discriminator                                          |
| `logits_real`, `logits_fake`              | the mean output of the discriminator for images and for reconstructions  |
| `discriminator_gradient_norm`             | of the discriminator, before clipping                                    |
| `codebook_usage`, `perplexity`            | of the codes that this batch uses                                        |
| `dead_codes`                              | codes that no image used in the last `tokenizer.dead_codes.window` steps |
| `val_nll`                                 | of held-out codes, in nats per token                                     |
| `val_mse`                                 | of the reconstructions of held-out images, with pixels in [0, 1]         |
| `val_codebook_usage`, `val_perplexity`    | of the codes of all held-out images                                      |

All of it is of the main process, but for the speeds and what is of held-out images; the gradient norm too, where each
device has only a part of the weights (FSDP). A step is counted as Lightning does it: the first is 0, and where the
tokenizer's training accumulates batches, each of them counts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.monitoring.history import MetricsFile
from maskgit_lab.lit.monitoring.measures import gradient_norm


class Monitor(Callback):
    """Decides which steps are logged, and logs what is the same for every training.

    Args:
        stage: `tokenizer`, `mvtm` or `autoregressive`, before the name of each number.
        history: the `metrics.csv` of the run.
    """

    def __init__(self, stage: str, history: MetricsFile) -> None:
        self.stage = stage
        self.history = history
        self.is_validated = True  # since the last step
        self._lr = 0.0
        self._since = time.perf_counter()  # the end of the last batch
        self._start_window()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forgets what a killed training logged after its checkpoint."""
        assert isinstance(pl_module, TrainedModule)
        batches = trainer.fit_loop.total_batch_idx + 1
        self.history.begin(batches if not pl_module.automatic_optimization else trainer.global_step)
        steps = int(trainer.num_training_batches) // pl_module.accumulate
        every = min(trainer.log_every_n_steps, max(1, steps))  # type: ignore[attr-defined]
        trainer.log_every_n_steps = every  # type: ignore[attr-defined]  # each epoch has a row

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves out the time since the last epoch."""
        self._since = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Says whether this batch is logged, and takes the time that it was waited for."""
        assert isinstance(pl_module, TrainedModule)
        now = time.perf_counter()
        self._waited += now - self._since
        self._seconds += now - self._since
        self._since = now
        pl_module.watched = _is_logged(trainer) and pl_module.ends_step(batch_idx)
        if pl_module.watched:
            self._lr = float(trainer.optimizers[0].param_groups[0]["lr"])  # before the schedule goes on

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Logs the gradient norm; where a module steps its optimisers itself, this comes after clipping."""
        assert isinstance(pl_module, TrainedModule)
        if pl_module.watched and pl_module.automatic_optimization:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            self._log(pl_module, {"gradient_norm": gradient_norm(parameters)})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Sequence[Any], batch_idx: int
    ) -> None:
        """Logs learning rate, speed and memory."""
        assert isinstance(pl_module, TrainedModule)
        now = time.perf_counter()
        self._seconds += now - self._since
        self._since = now
        self._images += len(batch[0]) * trainer.world_size
        self._tokens += batch[0].numel() * trainer.world_size if batch[0].ndim == 2 else 0
        self.is_validated = False
        if pl_module.watched:
            self._log(pl_module, {"lr": self._lr, **self._speeds(), **_memory(pl_module.device)})
            self._start_window()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves out the time of a validation."""
        self.is_validated = True
        self._since = time.perf_counter()

    def end(self, trainer: Trainer) -> None:
        """Makes the validation after a training one of its last step; if that is logged already, it is not again."""
        if self.is_validated:
            trainer.loggers = []
        else:
            trainer.fit_loop.epoch_loop._batches_that_stepped -= 1  # as Lightning does at the end of an epoch

    def _start_window(self) -> None:
        self._seconds = self._waited = 0.0
        self._images = self._tokens = 0

    def _speeds(self) -> dict[str, float]:
        seconds = max(self._seconds, 1e-9)
        speeds = {"images_per_second": self._images / seconds, "data_wait": self._waited / seconds}
        return speeds | ({"tokens_per_second": self._tokens / seconds} if self._tokens else {})

    def _log(self, module: LightningModule, values: dict[str, Any]) -> None:
        module.log_dict({f"{self.stage}/{name}": value for name, value in values.items()})


def _is_logged(trainer: Trainer) -> bool:
    """As Lightning itself and its own callbacks decide it."""
    return trainer._logger_connector.should_update_logs


def _memory(device: torch.device) -> dict[str, float]:
    return {"gpu_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30} if device.type == "cuda" else {}
