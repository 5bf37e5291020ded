"""A new mask schedule: one class and one file, outside the package."""

from evaluations import QUIET, rows

SOURCE = '''
from maskgit_lab.masking.schedules import Schedule


class Steep(Schedule):
    """gamma(r) = 1 - r^k."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def gamma(self, ratio, log2_n):
        return 1 - ratio**self.exponent
'''
YAML = "# gamma(r) = 1 - r^k, concave for k above 1\n_target_: own_schedule.Steep\nexponent: 4\n"


NAME = "own_schedule.steep(exponent=4.0)"  # with its module and its settings, so that no two are mixed


def test_a_model_is_trained_and_decoded_with_it(command, module, option, tiny_cache, tmp_path):
    module("own_schedule", SOURCE)
    place = [f"cache_dir={tiny_cache}", *QUIET]
    said = command("train", *option("schedule", "steep", YAML), "debug=tiny", "stage=mvtm", "run_dir=run", *place)
    assert said.code == 0 and f"{NAME} schedule" in said.out, said.err
    asked = ["checkpoint=run", "decode.steps=[3]", "eval.n_samples=20", "eval.metrics=[fid]", *place]
    assert command("evaluate", *asked).code == 0
    assert command("evaluate", *asked, "decode.schedule=linear").code == 0
    found = [(row["schedule"], row["decode_schedule"], row["steps"]) for row in rows(tmp_path / "run")]
    assert found == [(NAME, NAME, 3), (NAME, "linear", 3)]
