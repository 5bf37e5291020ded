"""`choose_temperature`: what it measures, where the choice is kept, and how other commands take it."""

import shutil

import pytest
import yaml

from evaluations import QUIET, rows
from maskgit_lab import usage
from maskgit_lab.evaluation import sources
from maskgit_lab.evaluation.chosen import Choice, chosen_for, sentence_in
from maskgit_lab.launch.temperature import conclude
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import EvaluateConf
from refusals import expect_refused
from synthetic_runs import row

MASKGIT = {"_target_": "maskgit_lab.decoding.parallel.MaskGIT", "schedule": None, "guidance": 0.0}


def choice(**decode):
    """Best at temperature 2 and T = 4."""
    values = {(0.0, 2): 6.0, (0.0, 4): 7.0, (2.0, 2): 5.0, (2.0, 4): 4.0, (2.0, 8): 4.5, (0.0, 8): 8, (9.0, 2): 9.0}
    made = [row("cosine", 0, t, choice_temperature=c, fd_classifier=v) for (c, t), v in values.items()]
    return Choice.of(made, {**MASKGIT, "steps": [2, 4], "choice_temperature": 4.5, **decode})


@pytest.fixture
def chosen_run(run):
    """A run with a choice in it."""
    (run / "temperature").mkdir()
    choice().write(run / "temperature" / "digits.yaml")
    return run


def test_the_grid_is_measured_once_on_samples_of_its_own(command, run, tiny_cache, monkeypatch):
    before, streams = rows(run), []
    monkeypatch.setattr(sources, "mix_seeds", lambda *parts: streams.append(parts[1]) or mix_seeds(*parts))
    asked = ["choose_temperature=[4,0]", "decode.steps=[2,3]", "eval.n_samples=20", *QUIET, f"cache_dir={tiny_cache}"]
    said = command("evaluate", f"checkpoint={run}", *asked)
    assert said.code == 0, said.err
    assert rows(run) == before
    assert set(streams) == {sources.STREAMS[sources.CHOICE]} and sources.STREAMS[sources.CHOICE] != sources.SAMPLES
    found = rows(run / "temperature")
    assert [(r["choice_temperature"], r["steps"], r["purpose"]) for r in found] == [
        (c, t, "choice") for c in (0, 4) for t in (2, 3)
    ]
    assert not {"nll", "precision", "kd_classifier"} & found[0].keys()
    best = min(found, key=lambda r: (r["fd_classifier"], r["choice_temperature"]))
    path = run / "temperature" / "digits.yaml"
    assert yaml.safe_load(path.read_text()) == {
        "defaults": ["maskgit"],
        "choice_temperature": best["choice_temperature"],
    }
    assert f"chosen     {best['choice_temperature']:g}, with fd_classifier" in said.out
    assert "edge of the temperatures" in " ".join(said.out.split())
    again = command("evaluate", f"checkpoint={run}", *asked)
    assert again.code == 0 and "samples each" not in again.out and rows(run / "temperature") == found


def test_the_file_says_what_it_was_chosen_by(tmp_path):
    choice(guidance=2.0).write(tmp_path / "digits.yaml")
    text = (tmp_path / "digits.yaml").read_text()
    assert yaml.safe_load(text) == {"defaults": ["maskgit"], "guidance": 2.0, "choice_temperature": 2.0}
    assert sentence_in(tmp_path / "digits.yaml").startswith(
        "2, with fd_classifier 4 at T = 4; next is 0 with 6 at T = 2;"
    )
    assert "model cosine0 (cosine schedule), 1437 samples" in " ".join(text.replace("\n#  ", "").split())
    assert max(map(len, text.splitlines())) <= 120
    lines = (tmp_path / "digits_temperature.csv").read_text().splitlines()
    assert lines[0] == "temperature,steps,distance,repeats" and "2.0,4,4.0,1" in lines and len(lines) == 8


def test_the_choice_of_one_run_becomes_a_config(chosen_run, tmp_path, monkeypatch, capsys):
    place = tmp_path / "checkout" / "conf" / "decode"
    place.mkdir(parents=True)
    monkeypatch.setattr(usage, "configs", lambda: tmp_path / "checkout")
    job = EvaluateConf(checkpoint=str(chosen_run))
    conclude([job])
    assert yaml.safe_load((place / "digits.yaml").read_text())["choice_temperature"] == 2.0
    assert (place / "digits_temperature.csv").is_file() and "decode=digits" in capsys.readouterr().out
    (place / "digits.yaml").write_text("choice_temperature: 1.0\n")
    conclude([job])
    assert (place / "digits.yaml").read_text() == "choice_temperature: 1.0\n"
    assert "was not written by this command" in " ".join(capsys.readouterr().out.split())


def test_an_installed_package_keeps_its_configs(chosen_run, monkeypatch, capsys):
    monkeypatch.setattr(usage, "configs", lambda: usage.PACKAGE)
    conclude([EvaluateConf(checkpoint=str(chosen_run))])
    said = " ".join(capsys.readouterr().out.split())
    assert "decode.choice_temperature=2" in said and not (usage.PACKAGE / "conf").exists()


def test_a_choice_holds_for_runs_that_differ_in_their_seeds(chosen_run, tmp_path, monkeypatch):
    other = shutil.copytree(chosen_run, tmp_path / "other")
    shutil.rmtree(other / "temperature")
    assert chosen_for(RunFolder(other)) == 2.0
    settings = RunFolder.settings

    def trained_otherwise(self):
        found = settings(self)
        found.mvtm.label_smoothing = 0.2 if self.path == other else 0.1
        return found

    monkeypatch.setattr(RunFolder, "settings", trained_otherwise)
    with pytest.raises(Exception, match="no choice temperature was chosen for"):
        chosen_for(RunFolder(other))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["choose_temperature=[1]"], "give at least two different numbers"),
        (["choose_temperature=[1,1]"], "give at least two different numbers"),
        (["choose_temperature=[-1,2]"], "choose_temperature=-1.0 is not possible"),
        (["choose_temperature=[1,2]", "out=x"], "leave out=x out"),
        (["choose_temperature=[1,2]", "decode.choice_temperature=3"], "give either choose_temperature"),
        (["choose_temperature=[1,2]", "optimized_metric=nll"], "leave optimized_metric out"),
        (["choose_temperature=[1,2]", "decode.guidance=2"], "decode.guidance=2"),
        (["decode.choice_temperature=chosen"], "no choice temperature was chosen for"),
        (["sweeps=best_temperature"], "no choice temperature was chosen for"),
    ],
)
def test_mistakes(command, tiny_run, arguments, says):
    expect_refused(command("evaluate", f"checkpoint={tiny_run}", *QUIET, *arguments), says)
