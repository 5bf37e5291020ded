"""Which of several processes this one is, as torchrun, srun or a user's shell say it."""

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.placement import Placement, first_node, placement

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "1"}
TORCHRUN |= {"MASTER_ADDR": "gpu1", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none"}
# As srun sets them, in a job of two machines.
JOB = {"SLURM_JOB_ID": "1234567", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train", "SLURM_JOB_NODELIST": "gpu[07-08]"}
TASK = JOB | {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_STEP_ID": "0"}
BATCH = JOB | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_TASK_PID": "17"}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        (TORCHRUN, Placement(3, 4, 1, 1, "gpu1", 29500, served=False)),
        (TORCHRUN | {"TORCHELASTIC_USE_AGENT_STORE": "True"}, Placement(3, 4, 1, 1, "gpu1", 29500, served=True)),
        (TORCHRUN | TASK, Placement(3, 4, 1, 1, "gpu1", 29500, served=False)),
        (
            {"RANK": "5", "WORLD_SIZE": "8", "MASTER_ADDR": "a", "MASTER_PORT": "1", "LOCAL_WORLD_SIZE": "4"},
            Placement(5, 8, 1, 1, "a", 1, served=False),
        ),
        (TASK, Placement(3, 4, 1, 1, "gpu07", 19567, served=False)),
        (TASK | {"MASTER_ADDR": "b", "MASTER_PORT": "7"}, Placement(3, 4, 1, 1, "b", 7, served=False)),
        ({name: TASK[name] for name in TASK if name != "SLURM_STEP_ID"}, Placement(3, 4, 1, 1, "gpu07", 19567, False)),
    ],
)
def test_of_several(environment, place):
    assert placement(environment) == place


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "3"},
        {"LOCAL_RANK": "0", "MASTER_PORT": "1234"},
        {"RANK": "0", "WORLD_SIZE": "1"},
        JOB,  # a shell of salloc
        {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "5"},
        BATCH,  # a batch script without srun
        TASK | {"SLURM_STEP_NUM_TASKS": "1"},
        TASK | {"SLURM_JOB_NAME": "interactive"},
    ],
)
def test_alone(environment):
    assert placement(environment) is None


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"LOCAL_RANK": "x"}, "LOCAL_RANK=x in the environment is not a whole number from 0 to"),
        ({"RANK": ""}, "RANK= in"),
        ({"RANK": "-1"}, "RANK=-1"),
        ({"RANK": "1e3"}, "RANK=1e3"),
        ({"RANK": "٣"}, "RANK=٣"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0 in the environment is not a whole number from 1 to"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE=9999"),
        ({"MASTER_PORT": "99999"}, "MASTER_PORT=99999 in the environment is not a whole number from 1 to 65535"),
        ({"SLURM_PROCID": "a"}, "SLURM_PROCID=a"),
        (TASK | {"SLURM_NTASKS": "many"}, "SLURM_NTASKS=many"),
        (TORCHRUN | {"RANK": "4"}, "RANK=4 and WORLD_SIZE=4 in the environment contradict each other"),
        (TASK | {"SLURM_PROCID": "9"}, "SLURM_PROCID=9 and SLURM_NTASKS=4"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR is not"),
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a"}, "MASTER_PORT is not"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(environment, sentence):
    with pytest.raises(UserError) as caught:
        placement(environment)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_the_first_machine_of_a_list():
    names = {"gpu[07-09,12],login1": "gpu07", "a1,a2": "a1", "a[3]": "a3", "a[1,5]-ib": "a1-ib", "one": "one", "": ""}
    assert {nodes: first_node(nodes) for nodes in names} == names
