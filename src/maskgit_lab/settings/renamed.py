"""Settings by the names that users of Lightning and its templates know, and what takes their place here."""

from __future__ import annotations

from collections.abc import Mapping

_BATCH = "mvtm.optim.batch_size, tokenizer.optim.batch_size or, for the evaluation, eval.batch_size"
_DECAY = "mvtm.optim.weight_decay or tokenizer.optim.weight_decay"
_EPOCHS = "mvtm.optim.epochs or tokenizer.optim.epochs"
_LOGGER = "logger=wandb, csv, tensorboard or none"
_RATE = "mvtm.optim.lr or tokenizer.optim.lr"
_STEPS = "mvtm.optim.max_steps or tokenizer.optim.max_steps"

# Flags of lightning.Trainer that have another name here or that the suite sets itself.
OF_TRAINER: Mapping[str, str] = {
    "max_epochs": _EPOCHS,
    "max_steps": _STEPS,
    "accumulate_grad_batches": "trainer.accumulate",
    "gradient_clip_val": "mvtm.optim.gradient_clip or tokenizer.optim.gradient_clip",
    "gradient_clip_algorithm": "mvtm.optim.gradient_clip or tokenizer.optim.gradient_clip, which clips the norm",
    "limit_test_batches": "eval.n_samples",
    "limit_predict_batches": "eval.n_samples",
    "check_val_every_n_epoch": "trainer.validate_every_epochs",
    "callbacks": "callbacks=NAME or callbacks=[NAME,NAME]",
    "logger": _LOGGER,
    "default_root_dir": "run_dir",
    "enable_checkpointing": "trainer.save_every_epochs, since every run keeps its last checkpoint",
    "enable_autolog_hparams": f"{_LOGGER}, where every run's settings are",
    "plugins": "nothing: the suite has its own, which write checkpoints with a checksum",
    "sync_batchnorm": "nothing: it is on wherever several GPUs train a network",
    "use_distributed_sampler": "nothing: the suite shares the images among the devices itself",
    "reload_dataloaders_every_n_epochs": "nothing: the order of the images follows from the seed and the epoch",
    "barebones": "trainer.profiler=simple to see where the time goes",
    "model_registry": "logger.log_model=true",
}

# A key as somebody may give it, and what to give instead.
RENAMED: Mapping[str, str] = {
    **{f"trainer.{name}": instead for name, instead in OF_TRAINER.items()},
    "trainer": "accelerator for the one device that this command runs on",
    "trainer.ckpt_path": "ckpt_path",
    "trainer.log_dir": "run_dir",
    **{
        f"{group}.optim.betas": f"{group}.optim.optimizer.betas" for group in ("mvtm", "tokenizer", "classifier", "cas")
    },
    "max_epochs": _EPOCHS,
    "n_epochs": _EPOCHS,
    "num_epochs": _EPOCHS,
    "epochs": _EPOCHS,
    "max_steps": _STEPS,
    "batch_size": _BATCH,
    "data.batch_size": _BATCH,
    "data.num_workers": "trainer.workers",
    "num_workers": "trainer.workers",
    "lr": _RATE,
    "learning_rate": _RATE,
    "model.lr": _RATE,
    "weight_decay": _DECAY,
    "betas": "mvtm.optim.optimizer.betas or tokenizer.optim.optimizer.betas",
    "optimizer": "mvtm.optim.optimizer._target_ or tokenizer.optim.optimizer._target_",
    "model.optimizer": "mvtm.optim.optimizer or tokenizer.optim.optimizer",
    "scheduler": "mvtm.optim.scheduler for the learning rate, or schedule=NAME for the masks",
    "lr_scheduler": "mvtm.optim.scheduler or tokenizer.optim.scheduler",
    "model.scheduler": "mvtm.optim.scheduler or tokenizer.optim.scheduler",
    "warmup_steps": "mvtm.optim.warmup_steps or tokenizer.optim.warmup_steps",
    "gradient_clip_val": OF_TRAINER["gradient_clip_val"],
    "accumulate_grad_batches": OF_TRAINER["accumulate_grad_batches"],
    "ckpt": "ckpt_path with ckpt_mode to train on, or checkpoint in evaluate.py, sample.py and export.py",
    "resume_from_checkpoint": "ckpt_path with ckpt_mode=resume",
    "resume": "ckpt_path with ckpt_mode=resume, or the same command again, which goes on by itself",
    "fast_dev_run": "trainer.fast_dev_run",
    "devices": "trainer.devices",
    "accelerator": "trainer.accelerator",
    "gpus": "trainer.devices",
    "trainer.gpus": "trainer.devices",
    "strategy": "trainer.strategy",
    "precision": "trainer.precision",
    "profiler": "trainer.profiler",
    "experiment_name": "name",
    "task_name": "name",
    "output_dir": "run_dir",
    "tags": "logger.tags",
    "dataset": "data=NAME",
    "datamodule": "data=NAME",
    "hparams_search": "-m hydra/sweeper=optuna with optimized_metric=KEY",
    "paths": "run_dir, cache_dir or data.root",
    "seed_everything": "seed",
    "test": "evaluate.py, or stage=mvtm to train without it",
    "train": "stage=all, mvtm, tokens or tokenizer",
}
