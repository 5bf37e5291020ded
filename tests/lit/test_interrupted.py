"""What a training leaves behind when it is killed, asked to end, or diverges, and how it goes on."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import InMemory
from maskgit_lab.errors import Interrupted, UserError
from maskgit_lab.lit import processes
from maskgit_lab.lit.extras import Extras
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.nets.checkpoints import read_checkpoint, seal
from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.runs.names import LAST, PREVIOUS
from maskgit_lab.settings import DeadCodes, Optim, TokenizerLosses
from small_training import HARDWARE, Stopped, module, train, weights
from two_processes import in_two_ranks

ALWAYS = replace(HARDWARE, save_every_minutes=1e-9)  # at every step
BATCHES = 4  # of an epoch


class At(Callback):
    """Does something at the start of a batch, counted over epochs."""

    def __init__(self, batch, work):
        self.batch, self.work = batch, work

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.fit_loop.total_batch_idx == self.batch:
            self.work(trainer, pl_module)


def stop(*_):
    raise Stopped


def ask(number):
    return lambda *_: signal.raise_signal(number)


def tokenizer(max_steps=None):
    seed_all(0)
    net = VQGAN(codebook_size=8, latent_dim=4, base_width=4, multipliers=(1, 2), n_blocks=1, norm_groups=4)
    losses = TokenizerLosses(entropy=0.1, adversarial=0.1, r1=1.0)
    optim = Optim(epochs=3, batch_size=4, lr=1e-3, ema_decay=0.9, max_steps=max_steps)
    critic = Discriminator(8, base_width=4)
    return LitTokenizer(net, losses, optim, 0, critic, None, DeadCodes(window=3, revive=True))


def train_tokenizer(made, folder=None, *callbacks, hardware=HARDWARE):
    pictures = InMemory(torch.rand(14, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(14).long())
    extras = Extras({}, callbacks)
    return fit(
        made, pictures, pictures, hardware=hardware, terminal=Terminal(), title="t", folder=folder, extras=extras
    )


KINDS = {
    "plain": (module, train, {}),
    "accumulated": (module, train, {"accumulate": 2}),
    "bf16": (module, train, {"precision": "bf16-mixed"}),
    "max_steps": (lambda: module(max_steps=10), train, {}),
    "tokenizer, accumulated": (tokenizer, train_tokenizer, {"accumulate": 2}),
    "tokenizer, max_steps": (lambda: tokenizer(max_steps=10), train_tokenizer, {}),
}


@pytest.fixture(scope="module")
def undisturbed():
    """The scores and the state of each kind of training."""
    ends = {}

    def of(kind):
        if kind not in ends:
            make, run, hardware = KINDS[kind]
            made = make()
            ends[kind] = run(made, hardware=replace(HARDWARE, **hardware)), made.state_dict()
        return ends[kind]

    return of


@pytest.mark.parametrize("batch", [6, 2 * BATCHES])
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_goes_on_within_an_epoch_bit_for_bit(tmp_path, undisturbed, kind, batch):
    (make, run, hardware), (expected, state) = KINDS[kind], undisturbed(kind)
    killed, resumed = make(), make()
    with pytest.raises(Stopped):
        run(killed, tmp_path, At(batch, stop), hardware=replace(ALWAYS, **hardware))
    steps = read_checkpoint(tmp_path / LAST)["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["processed"]
    assert steps >= batch - hardware.get("accumulate", 1)
    assert run(resumed, tmp_path, hardware=replace(HARDWARE, **hardware)) == expected
    assert all(map(torch.equal, state.values(), resumed.state_dict().values()))
    assert not (tmp_path / PREVIOUS).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_ends_a_training_once_it_is_saved(tmp_path, number):
    whole, ended, resumed = module(), module(), module()
    expected, before = train(whole), signal.getsignal(number)
    with pytest.raises(Interrupted) as interrupted:
        train(ended, tmp_path, At(5, ask(number)))
    assert interrupted.value.signal == number and signal.getsignal(number) is before
    assert read_checkpoint(tmp_path / LAST)["global_step"] == 6
    assert train(resumed, tmp_path) == expected and torch.equal(weights(whole), weights(resumed))


class InTheLastValidation(Callback):
    """Interrupts the validation after a training."""

    def on_validation_start(self, trainer, pl_module):
        if trainer.state.fn == "validate":
            raise Interrupted(signal.SIGTERM)


def test_a_signal_in_the_last_validation_is_no_exit(tmp_path):
    whole, ended, resumed = module(), module(), module()
    expected = train(whole)
    with pytest.raises(Interrupted):
        train(ended, tmp_path, InTheLastValidation())
    assert train(resumed, tmp_path) == expected and torch.equal(weights(whole), weights(resumed))


def test_a_signal_before_the_limit_of_a_job_goes_over_the_one_that_ends_it(tmp_path):
    def ask_twice(*_):
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.raise_signal(number)

    with pytest.raises(Interrupted) as interrupted:
        train(module(), tmp_path, At(5, ask_twice))
    assert interrupted.value.signal == signal.SIGUSR1


def test_batches_are_accumulated_alike_until_the_end_of_an_epoch(tmp_path):
    with pytest.raises(Stopped):
        train(module(), tmp_path, At(6, stop), hardware=ALWAYS)
    with pytest.raises(UserError, match=r"in the middle of an epoch with trainer\.accumulate=1: keep that value"):
        train(module(), tmp_path, hardware=replace(HARDWARE, accumulate=2))
    with pytest.raises(Stopped):
        train(module(), tmp_path, At(8, stop))
    train(module(), tmp_path, hardware=replace(HARDWARE, accumulate=2))


def test_whoever_handles_a_signal_already_gets_it_once_all_is_saved(tmp_path):
    seen, whole, other = [], module(), module()
    train(whole)
    before = signal.signal(signal.SIGUSR2, lambda *_: seen.append(read_checkpoint(tmp_path / LAST)["global_step"]))
    try:
        train(other, tmp_path, At(5, ask(signal.SIGUSR2)))
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [6] and torch.equal(weights(whole), weights(other))  # it let the training go on


def test_a_signal_at_the_end_of_an_epoch_or_in_a_validation_ends_it_too(tmp_path):
    class InValidation(Callback):
        def on_validation_batch_start(self, trainer, *_):
            if trainer.current_epoch == 1:
                signal.raise_signal(signal.SIGTERM)

    for callback in (InValidation(), At(2 * BATCHES - 1, ask(signal.SIGTERM))):
        whole, resumed = module(), module()
        train(whole)
        with pytest.raises(Interrupted):
            train(module(), tmp_path, callback)
        train(resumed, tmp_path)
        assert torch.equal(weights(whole), weights(resumed))
        (tmp_path / LAST).unlink()


def test_the_generation_before_takes_the_place_of_a_damaged_checkpoint(tmp_path, capsys):
    whole, killed, resumed = module(), module(), module()
    train(whole)
    with pytest.raises(Stopped):
        train(killed, tmp_path, At(7, stop), hardware=ALWAYS)
    assert [read_checkpoint(tmp_path / name)["global_step"] for name in (PREVIOUS, LAST)] == [6, 7]
    content = bytearray((tmp_path / LAST).read_bytes())
    content[len(content) // 2] ^= 8
    (tmp_path / LAST).write_bytes(content)
    train(resumed, tmp_path)
    assert torch.equal(weights(whole), weights(resumed)) and "is damaged" in capsys.readouterr().out


def test_a_diverged_training_keeps_its_last_good_checkpoint(tmp_path):
    def spoil(trainer, pl_module):
        with torch.no_grad():
            next(pl_module.net.parameters()).fill_(torch.nan)

    with pytest.raises(UserError, match=r"diverged at step 7 .* lower t\.optim\.lr; the checkpoint of step 6 is kept"):
        train(module(), tmp_path, At(6, spoil), hardware=ALWAYS)
    assert all(value.isfinite().all() for value in read_checkpoint(tmp_path / LAST)["state_dict"].values())
    whole, resumed = module(), module()
    train(whole)
    train(resumed, tmp_path)
    assert torch.equal(weights(whole), weights(resumed))


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    class Spoiled(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.fit_loop.total_batch_idx == 5:
                with torch.no_grad():
                    next(pl_module.net.parameters()).fill_(torch.inf)

    with pytest.raises(UserError, match=r"diverged at step 6 \(a weight is not finite"):
        train(module(), tmp_path, Spoiled(), hardware=ALWAYS)
    assert read_checkpoint(tmp_path / LAST)["global_step"] == 5


def test_lightnings_own_checkpoint_of_a_requeued_job_is_never_loaded(tmp_path, monkeypatch):
    names = {"JOB_ID": "1", "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0", "JOB_NAME": "train"}
    for name, value in names.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    whole, other = module(), module()
    expected = train(whole)
    with pytest.raises(Stopped):
        train(module(), tmp_path, At(5, stop), hardware=ALWAYS)
    (tmp_path / LAST).rename(tmp_path / "hpc_ckpt_1.ckpt")
    (tmp_path / PREVIOUS).unlink()
    monkeypatch.chdir(tmp_path)
    assert train(other, tmp_path) == expected and torch.equal(weights(whole), weights(other))
    assert train(module()) == expected


def test_a_checkpoint_without_the_state_of_its_training_is_refused(tmp_path):
    train(module(), tmp_path)
    whole = read_checkpoint(tmp_path / LAST)
    for key in ("optimizer_states", "lr_schedulers", "loops"):
        torch.save({name: value for name, value in whole.items() if name != key}, tmp_path / LAST)
        seal(tmp_path / LAST)
        with pytest.raises(UserError, match=f"has no training state \\({key} is missing\\)"):
            train(module(), tmp_path)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    whole, resumed, open_file = module(), module(), type(tmp_path).open
    train(whole)

    def full(path, mode="r", *arguments, **named):
        if path.name == f"{LAST}.partial" and mode == "wb" and (tmp_path / LAST).exists():
            return open_file(Path("/dev/full"), "wb")
        return open_file(path, mode, *arguments, **named)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(type(tmp_path), "open", full)
        train(module(), tmp_path, hardware=ALWAYS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LAST, PREVIOUS]
    train(resumed, tmp_path)
    assert torch.equal(weights(whole), weights(resumed))


def rank_that_is_asked_alone() -> None:
    """Writes the weights of a training of two processes, undisturbed, and where one of them got a signal."""
    hardware = replace(HARDWARE, devices=2)
    processes.connect(hardware)
    whole, ended, resumed = module(), module(), module()
    expected = train(whole, Path("whole"), hardware=hardware)
    asked = [At(5, ask(signal.SIGTERM))] if ranks.rank() == 1 else []
    with pytest.raises(Interrupted):
        train(ended, Path("ended"), *asked, hardware=hardware)
    steps = read_checkpoint(Path("ended") / LAST)["global_step"]
    same = train(resumed, Path("ended"), hardware=hardware) == expected and torch.equal(
        weights(whole), weights(resumed)
    )
    Path(f"seen{ranks.rank()}").write_text(f"{steps} {same}")
    processes.leave()


def test_a_signal_to_one_process_ends_all_of_them_once_they_are_saved(tmp_path):
    said = in_two_ranks(tmp_path, rank_that_is_asked_alone)
    assert said.code == 0, said.err
    assert [(tmp_path / f"seen{rank}").read_text() for rank in range(2)] == ["6 True"] * 2
