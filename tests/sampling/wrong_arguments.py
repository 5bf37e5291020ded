"""Arguments of the library that are wrong, each with a part of its sentence: `python wrong_arguments.py RUN_DIR`."""

import math
import sys
from functools import partial

import torch

from maskgit_lab import Pipeline
from maskgit_lab.errors import UserError

RUN = sys.argv[1]
FILE = "exported/transformer.safetensors"
pipeline = Pipeline.load(RUN, device="cpu")
load = partial(Pipeline.load, device="cpu")
sample, fill, logits = pipeline.sample, pipeline.fill, pipeline.logits
TOKENS = torch.zeros(2, 64, dtype=torch.int64)
IMAGES = torch.rand(2, 3, 16, 16)
WRONG = [
    (lambda: load("absent"), "absent contains no run"),
    (lambda: load("."), ". contains no run"),
    (lambda: load("absent.safetensors"), "name its tokenizer's with tokenizer=FILE"),
    (lambda: load("absent.safetensors", "exported/tokenizer.safetensors"), "absent.safetensors is not a network"),
    (lambda: load(FILE, FILE), "holds a transformer, not a tokenizer"),
    (lambda: load("exported/README.md", "exported/tokenizer.safetensors"), "is not a network of this suite"),
    (lambda: load(f"{RUN}/run.json"), "run.json contains no run: name"),
    (lambda: load(RUN, "exported/tokenizer.safetensors"), "leave tokenizer out"),
    (lambda: load("unfinished"), "not trained to its end"),
    (lambda: load(RUN, schedule="cosin"), "schedule=cosin: there is no such schedule"),
    (lambda: load(RUN, device="tpu"), "device=tpu is not on this machine: choose auto"),
    (lambda: load(RUN, device="cuda:99"), "device=cuda:99 is not on this machine"),
    (lambda: load(RUN, device=None), "device=None is not on this machine"),
    (lambda: sample([]), "give them as [3, 7]"),
    (lambda: sample(3), "give them as [3, 7]"),
    (lambda: sample(["cat"]), "give them as [3, 7]"),
    (lambda: sample([1.5]), "give them as [3, 7]"),
    (lambda: sample([10]), "there is no class 10: the model has the classes 0 to 9"),
    (lambda: sample([-1]), "there is no class -1"),
    (lambda: sample([3], steps=0), "steps=0 is not possible"),
    (lambda: sample([3], steps=[4, 8]), "steps=[4, 8] is not possible"),
    (lambda: sample([3], steps=True), "steps=True is not possible"),
    (lambda: sample([3], steps=4097), "steps=4097 is not possible: give a whole number from 1 to 4096"),
    (lambda: sample([3], seed="abc"), "seed='abc' is not possible"),
    (lambda: sample([3], seed=-1), "seed=-1 is not possible"),
    (lambda: sample([3], seed=0.5), "seed=0.5 is not possible"),
    (lambda: sample([3], seed=[1, 2]), "there are 2 seeds for 1 images"),
    (lambda: sample([3], batch_size=0), "batch_size=0 is not possible: give a whole number of at least 1"),
    (lambda: sample([3], batch_size=None), "batch_size=None is not possible"),
    (
        lambda: pipeline.decode(torch.zeros(1, pipeline.model.n_tokens, dtype=torch.int64), batch_size=-1),
        "batch_size=-1",
    ),
    (lambda: pipeline.at(0), "steps=0 is not possible"),
    (lambda: sample([3], seed=[-1]), "seed=[-1] is not possible"),
    (lambda: sample([3], schedule=lambda ratio, n_tokens: {}["a"]), "schedule failed"),
    (lambda: sample([3], schedule="cosin"), "schedule=cosin: there is no such schedule; choose one of arccos"),
    (lambda: sample([3], schedule=3), "schedule=3 is not possible: give a name"),
    (lambda: sample([3], schedule=lambda r: 1 - r), "schedule failed"),
    (lambda: sample([3], schedule=lambda r, n: math.cos(r)), "give a function of two tensors"),
    (lambda: sample([3], schedule=lambda r, n: r / 0 - r / 0), "schedule returned NaN"),
    (lambda: sample([3], logits_fn=lambda t, c: None), "logits_fn returned NoneType"),
    (lambda: sample([3], logits_fn=lambda t, c: torch.zeros(1, 64, 5)), "logits_fn returned (1, 64, 5)"),
    (lambda: sample([3], logits_fn=lambda t, c: logits(t, c) * math.nan), "logits_fn returned NaN"),
    (lambda: sample([3], logits_fn="model"), "logits_fn='model' is not possible"),
    (lambda: sample([3], choice_temperature="hot"), "choice_temperature=hot is not possible: give a number"),
    (lambda: sample([3], choice_temperature=-1.0), "choice_temperature=-1.0 is not possible"),
    (lambda: sample([3], choice_temperature=1e30), "choice_temperature=1e+30 is not possible: give at most 10000000"),
    (lambda: sample([3], guidance=math.inf), "guidance=inf is not possible"),
    (lambda: fill(TOKENS, [3]), "there are 1 labels for 2 images"),
    (lambda: fill(TOKENS[:, :4], [3, 7]), "tokens are (2, 4): give a tensor of shape (n, 64)"),
    (lambda: fill(TOKENS.float(), [3, 7]), "tokens are of type torch.float32"),
    (lambda: fill(TOKENS - 1, [3, 7]), "there is no code -1"),
    (lambda: fill(TOKENS + pipeline.n_codes, [3, 7]), "and the mask token"),
    (lambda: fill([[1, 2]], [3]), "tokens are list"),
    (lambda: logits(TOKENS, [3]), "there are 1 labels for 2 images"),
    (lambda: logits(TOKENS, [3, 11]), "there is no class 11"),
    (lambda: pipeline.decode(TOKENS + pipeline.mask_id), "there is no code"),
    (lambda: pipeline.decode(TOKENS[0]), "tokens are (64,)"),
    (lambda: pipeline.encode(IMAGES[:, :1]), "images are (2, 1, 16, 16): give a tensor of shape (n, 3, 16, 16)"),
    (lambda: pipeline.encode(IMAGES * 255), "give floats in [0, 1]"),
    (lambda: pipeline.encode((IMAGES * 255).byte()), "8-bit ones divided by 255"),
    (lambda: pipeline.encode(IMAGES * math.nan), "images are from nan"),
    (lambda: pipeline.encode("cat.png"), "images are str"),
]
faults = []
for number, (call, sentence) in enumerate(WRONG):
    try:
        call()
        faults.append(f"{number}: no error, but {sentence!r} is expected")
    except UserError as error:
        if sentence not in str(error):
            faults.append(f"{number}: {error}, but {sentence!r} is expected")
    except Exception as error:
        faults.append(f"{number}: {error!r}, but {sentence!r} is expected")
print("\n".join(faults))
sys.exit(len(faults))
