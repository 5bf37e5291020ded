"""Every setting: its type, its default and what it may be. `conf/` fills them in; the commands work with nothing else.

A class is a schema for Hydra, which refuses unknown keys and values of another type, and checks itself when it is made:
what a value may be stands beside its field. Settings with a `_target_` are checked by the class that they name.
"""

from maskgit_lab.settings.checking import (
    EVALUATION,
    PLACES,
    checked,
    evaluation_fingerprint,
    plain,
    replaced,
    run_fingerprint,
    training,
)
from maskgit_lab.settings.commands import (
    CommonConf,
    EvaluateConf,
    EvaluateHardware,
    ExportConf,
    ReportConf,
    SampleConf,
    TrainConf,
    WandbReportConf,
    tokenizer_file,
)
from maskgit_lab.settings.groups import (
    AugmentConf,
    ClassifierConf,
    DeadCodes,
    EvalConf,
    FeaturesConf,
    Hardware,
    LoggerConf,
    MVTMConf,
    MVTMLoss,
    Optim,
    SweepConf,
    TokenizerConf,
    TokenizerLosses,
    TokensConf,
)

__all__ = [
    "EVALUATION",
    "PLACES",
    "AugmentConf",
    "ClassifierConf",
    "CommonConf",
    "DeadCodes",
    "EvalConf",
    "EvaluateConf",
    "EvaluateHardware",
    "ExportConf",
    "FeaturesConf",
    "Hardware",
    "LoggerConf",
    "MVTMConf",
    "MVTMLoss",
    "Optim",
    "ReportConf",
    "SampleConf",
    "SweepConf",
    "TokenizerConf",
    "TokenizerLosses",
    "TokensConf",
    "TrainConf",
    "WandbReportConf",
    "checked",
    "evaluation_fingerprint",
    "plain",
    "replaced",
    "run_fingerprint",
    "tokenizer_file",
    "training",
]
