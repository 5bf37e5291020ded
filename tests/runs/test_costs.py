"""What runs cost: measured by stage, summed over commands and processes, and counted once."""

import json
import os
import shutil
import time
from types import SimpleNamespace

import pytest
import torch

from maskgit_lab.runs import costs, energy
from maskgit_lab.runs.costs import Cost, Costs, add_images, as_scores, costs_of, sentence, together


@pytest.fixture
def clocks(monkeypatch):
    """Seconds of the process, its children and the wall, and joules of the GPU, which tests set."""
    now = SimpleNamespace(user=0.0, system=0.0, children_user=0.0, children_system=0.0, wall=0.0, joules=0.0)
    monkeypatch.setattr(os, "times", lambda: now)
    monkeypatch.setattr(time, "perf_counter", lambda: now.wall)
    monkeypatch.setattr(costs, "joules", lambda _: now.joules)
    return now


def test_a_stage_costs_what_is_spent_in_it_and_not_in_one_inside(clocks, tmp_path):
    clocks.user = 7200.0  # before the command
    measured = Costs(tmp_path)
    with measured.stage("evaluation"):
        clocks.user, clocks.children_system = 9000.0, 1800.0
        with measured.stage("classifier"):
            clocks.system = 360.0
            add_images(60)
        clocks.user = 9360.0
        add_images(5)
    clocks.user = 99999.0
    add_images(1000)  # in no stage
    assert measured.total() == {"evaluation": Cost(1.1, images=5), "classifier": Cost(0.1, images=60)}


def test_a_gpu_costs_its_wall_time_and_its_energy(clocks, tmp_path):
    measured = Costs(tmp_path, torch.device("cuda"))
    with measured.stage("transformer"):
        clocks.wall, clocks.joules, clocks.user = 1800.0, 3.6e6, 3600.0
    cost = measured.total()["transformer"]
    assert cost == Cost(core_hours=1.0, gpu_hours=0.5, kwh=1.0)
    assert str(cost) == "0.5 GPU-hours, 1 core-hours, 1 kWh, 0 images"


def test_commands_and_processes_add_up_and_a_copy_counts_once(clocks, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for _ in range(3):
        measured = Costs(run)
        with measured.stage("tokens"):
            clocks.user += 3600.0
            add_images(10)
    shutil.copytree(run, tmp_path / "copy")
    found = costs_of([run, tmp_path / "copy", tmp_path / "nothing"])
    assert found == {"tokens": Cost(3.0, images=30)}
    assert sentence(found | {"tokenizer": Cost(1.0), "evaluation": Cost(0.001)}) == (
        "4 core-hours, 30 images (core-hours: tokens 3, tokenizer 1)"
    )
    assert together({}) == Cost()
    assert as_scores(found) == {"core_hours": 3, "images": 30, "tokens_core_hours": 3, "tokens_images": 30}


def test_what_a_command_that_fails_or_is_killed_has_spent_is_kept(clocks, tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "EVERY", 0.01)
    measured = Costs(tmp_path)
    with pytest.raises(KeyboardInterrupt), measured.stage("tokenizer"):
        clocks.user = 3600.0
        deadline = time.monotonic() + 20
        while costs_of([tmp_path]) != {"tokenizer": Cost(1.0)}:  # while the stage goes on
            assert time.monotonic() < deadline
        clocks.user = 7200.0
        raise KeyboardInterrupt
    assert measured.total() == {"tokenizer": Cost(2.0)}


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"tokens": 3}', '{"tokens": {"hours": 1}}', '{"tokens": {"images": "a"}}']
)
def test_a_damaged_file_is_passed_over(tmp_path, text):
    (tmp_path / "costs").mkdir()
    (tmp_path / "costs" / "a.json").write_text(text)
    (tmp_path / "costs" / "b.json").write_text(json.dumps({"tokens": {"core_hours": 2.0}}))
    assert costs_of([tmp_path]) == {"tokens": Cost(2.0)}


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    measured = Costs()
    with measured.stage("evaluation"):
        add_images(3)
    assert measured.total()["evaluation"].images == 3 and not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_stops_nothing(clocks, tmp_path):
    (tmp_path / "costs").write_text("a file")
    measured = Costs(tmp_path)
    with measured.stage("evaluation"):
        clocks.user = 3600.0
    assert measured.total() == {} and (tmp_path / "costs").read_text() == "a file"


def test_the_energy_is_that_of_the_device_if_its_driver_tells(monkeypatch):
    class Driver:
        failed = 0

        def nvmlDeviceGetHandleByUUID(self, name, handle):
            assert name == b"GPU-ab-12"
            return 0

        def nvmlDeviceGetTotalEnergyConsumption(self, handle, used):
            used._obj.value = 1234
            return self.failed

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="ab-12"))
    monkeypatch.setattr(energy, "_library", lambda: driver)
    driver = Driver()
    assert energy.joules(torch.device("cuda")) == 1.234
    driver.failed = 3  # not supported
    assert energy.joules(torch.device("cuda")) is None
    assert energy.joules(torch.device("cpu")) is None
