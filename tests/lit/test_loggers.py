"""The loggers of a run, as the group `logger` chooses them: CSV, TensorBoard, any of Lightning's, several at once."""

import csv
import importlib.util
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from maskgit_lab import config
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.loggers import readable_name
from maskgit_lab.lit.loggers import group
from maskgit_lab.lit.loggers.base import Described, RunLogger
from maskgit_lab.lit.loggers.group import check_loggers, logging
from maskgit_lab.lit.loggers.lightning import best
from maskgit_lab.runs.results import Results
from maskgit_lab.runs.run import NoLogger
from maskgit_lab.sampling.drawing import draw_tiles
from maskgit_lab.settings import LoggerConf, plain, run_fingerprint

ROOT = Path(__file__).resolve().parents[2]
LIGHTNING = "lightning.pytorch.loggers"
TENSORBOARD = {"tensorboard": {"_target_": f"{LIGHTNING}.TensorBoardLogger"}}
CSV = {"csv": {"_target_": "maskgit_lab.lit.loggers.files.CurveFile"}}
ROWS = [
    {
        "steps": steps,
        "seed": 0,
        "n_samples": 10,
        "features": "classifier",
        "fd_classifier": fd,
        "inception_score": score,
    }
    for steps, fd, score in [(4, 4.7, 9.2), (8, 4.2, 9.6), (16, 4.4, 9.5)]
]


class Remembering(Logger):
    """A logger of a user's own."""

    made: ClassVar[list["Remembering"]] = []

    def __init__(self, save_dir: str, colour: str = "red") -> None:
        super().__init__()
        self.save_dir_given, self.colour, self.logged, self.ended = save_dir, colour, [], ""
        self.made.append(self)

    name = version = "mine"

    def log_metrics(self, metrics, step=None):
        self.logged.append((step, metrics))

    def log_hyperparams(self, params, *args, **kwargs):
        self.params = params

    def log_image(self, key, images, step):
        self.logged.append((step, {key: images}))

    def finalize(self, status):
        self.ended = status


def opened(folder, use, **more):
    about = Described(name="x", job_type="train", id="r1", folder=folder, config={"decode": {"guidance": 0.5}})
    return logging(LoggerConf(use=use, **more), about)


def picture(folder) -> Path:
    path = folder / "pictures" / "a.png"
    draw_tiles(torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8), path)
    return path


def log_all(logger, path):
    logger.earlier(ROWS[:1])
    for row in ROWS[1:]:
        logger.point(row)
    logger.points(ROWS)
    logger.scores("tokenizer", {"mse": 0.1})
    logger.pictures({"training/samples": path}, 7)
    logger.checkpoints([path])


def test_csv_has_the_points_of_the_folder(tmp_path):
    for row in ROWS[:2]:
        Results(tmp_path / "results.jsonl").append(row)
    with opened(tmp_path, CSV) as logger:
        assert not logger.lightning
        log_all(logger, picture(tmp_path))
    with (tmp_path / "curve.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [(row["steps"], row["fd_classifier"], row["features"]) for row in read] == [
        ("4", "4.7", "classifier"),
        ("8", "4.2", "classifier"),
    ]


def test_tensorboard_has_scalars_over_t_pictures_and_the_settings_beside_the_best(tmp_path):
    with opened(tmp_path, TENSORBOARD) as logger:
        (lightning,) = logger.lightning
        lightning.log_metrics({"mvtm/loss": 2.5}, step=9)
        log_all(logger, picture(tmp_path))
    (folder,) = (tmp_path / "tensorboard").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    assert folder.name == "train-r1"
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("eval/fd_classifier")] == [
        (4, 4.7),
        (8, 4.2),
        (16, 4.4),
    ]
    assert [(e.step, e.value) for e in events.Scalars("mvtm/loss")] == [(9, 2.5)]
    assert events.Scalars("best/inception_score")[0].value == pytest.approx(9.6)
    (image,) = events.Images("pictures/training/samples")
    assert (image.step, image.width, image.height) == (7, 16, 8)
    assert "decode.guidance: 0.5" in (folder / "hparams.yaml").read_text()


def test_any_logger_of_lightnings_or_of_a_users_own(tmp_path):
    use = {"mine": {"_target_": f"{__name__}.Remembering", "colour": "blue"}}
    Remembering.made.clear()
    with pytest.raises(KeyboardInterrupt), opened(tmp_path, use) as logger:
        log_all(logger, picture(tmp_path))
        raise KeyboardInterrupt
    (mine,) = Remembering.made
    assert (mine.colour, mine.save_dir_given, mine.ended) == ("blue", tmp_path / "loggers" / "mine", "failed")
    assert mine.params == {"decode.guidance": 0.5}
    assert [step for step, _ in mine.logged] == [4, 8, 16, 0, 7]
    assert mine.logged[0][1] == {"eval/fd_classifier": 4.7, "eval/inception_score": 9.2}


def test_several_at_once_and_none(tmp_path):
    with opened(tmp_path, CSV | TENSORBOARD) as logger:
        assert len(logger.members) == 2 and all(isinstance(member, RunLogger) for member in logger.members)
    with opened(tmp_path, {}) as logger:
        assert isinstance(logger, NoLogger)


@pytest.mark.parametrize(
    ("option", "names"),
    [("logger=csv", ["csv"]), ("logger=[wandb,csv]", ["wandb", "csv"]), ("logger=none", []), ("logger=[]", [])],
)
def test_options_and_lists_of_them_compose_and_are_no_part_of_a_runs_identity(option, names):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        default, chosen = (
            config.typed(compose("train", overrides=overrides), config.SCHEMAS["train"]) for overrides in ([], [option])
        )
        evaluated = config.typed(compose("evaluate", overrides=["checkpoint=x", option]), config.SCHEMAS["evaluate"])
    assert list(chosen.logger.use) == list(evaluated.logger.use) == names and list(default.logger.use) == ["wandb"]
    assert run_fingerprint(chosen) == run_fingerprint(default) and plain(chosen) != plain(default)
    check_loggers(chosen.logger)


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (3, "logger.use.x=3 is not possible"),
        ({}, "it names no class"),
        ({"_target_": "nowhere.Nothing"}, "No module named 'nowhere'"),
        ({"_target_": "torch.nn.Linear"}, r"logger.use.x._target_ is not a logger"),
        ({"_target_": "maskgit_lab.lit.loggers.files.CurveFile", "colour": 1}, "logger.use.x.colour: there is no such"),
        ({"_target_": f"{LIGHTNING}.MLFlowLogger"}, "logger.use.x cannot be built .*mlflow"),
        ({"_target_": f"{LIGHTNING}.TensorBoardLogger", "typo": 1}, "logger.use.x cannot be opened .*'typo'"),
        ({"_target_": f"{LIGHTNING}.WandbLogger", "typo": 1}, "W&B cannot start .*'typo'"),
        ({"_target_": f"{LIGHTNING}.CSVLogger", "prefix": 1}, "logger.use.x.prefix=1 is not possible: give a text"),
    ],
)
def test_a_logger_that_cannot_be_opened_is_one_sentence(tmp_path, node, sentence):
    with pytest.raises(UserError, match=sentence) as caught, opened(tmp_path, {"x": node}, mode="offline"):
        pass
    assert "\n" not in str(caught.value)


def test_without_tensorboard_the_sentence_says_how_to_install_it(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(group, "find_spec", lambda name: None if "tensorboard" in name else found(name))
    with pytest.raises(UserError, match=r"run `uv pip install '\.\[tensorboard\]'` in the checkout"):
        check_loggers(LoggerConf(use=TENSORBOARD))


def test_the_best_of_each_metric_has_its_t():
    found = best([*ROWS, {**ROWS[0], "steps": 32, "cas_top1": 0.5}])
    assert (found["best/fd_classifier"], found["best/fd_classifier_T"]) == (4.2, 8)
    assert (found["best/cas_top1"], found["best/cas_top1_T"]) == (0.5, 32)


def test_a_name_that_a_person_reads():
    overrides = ["schedule=cosine", "run_dir=/x/y", "trainer.threads=1", "logger=csv", "+mvtm.net.depth=2"]
    assert readable_name(overrides) == "schedule=cosine mvtm.net.depth=2"
    assert readable_name(["checkpoint=/runs/a/", "decode.steps=[4,8]"]) == "checkpoint=a decode.steps=[4,8]"
    assert len(readable_name([f"a{i}=b" for i in range(100)])) == 128
