"""`edit.py`: other classes, filled holes, borders gone beyond and panoramas, as PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from maskgit_lab import ranks
from maskgit_lab.code import Code, code_of
from maskgit_lab.console import Terminal
from maskgit_lab.data.opening import Mask, open_mask
from maskgit_lab.devices import device_of
from maskgit_lab.editing.editor import Editor
from maskgit_lab.editing.options import options_for
from maskgit_lab.editing_files.many import Done, Work
from maskgit_lab.editing_files.naming import command_for
from maskgit_lab.editing_files.overviews import STEPS, draw, make_room, missing, paths_of
from maskgit_lab.editing_files.places import place_in
from maskgit_lab.editing_files.results import Edits
from maskgit_lab.editing_files.sources import listed, sources_of, windows_of
from maskgit_lab.errors import UserError
from maskgit_lab.lit.hardware import check_hardware
from maskgit_lab.nets.described import weights_digest
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.opening import held
from maskgit_lab.runs.outputs import made_folder
from maskgit_lab.sampling.loading import STEPS as USUAL_STEPS
from maskgit_lab.sampling.loading import is_run, open_trained
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.settings import EditConf, tokenizer_file
from maskgit_lab.stages.code import note_other_code
from maskgit_lab.stages.labels import labels_for

# What a result depends on besides the classes of its networks and its decoder.
CODE = (
    "maskgit_lab.editing_files.many",
    "maskgit_lab.editing_files.places",
    "maskgit_lab.data.views",
    "maskgit_lab.metrics.features",
)
MOST_NAMED = 5  # classes that are listed
FROM = {
    "no class": "none, as the model knows it",
    "only class": "{name}, the only one",
    "classifier": "{name}, the likeliest by the run's classifier",
}


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is written."""

    work: Work
    overviews: Mapping[str, Path]  # that are missing, by the settings that name them
    home: RunFolder | None  # the run that has the model, if it is one
    mask: Mask | None


def prepare(settings: EditConf) -> Prepared:
    """Checks everything that can be before the first edit; nothing is written."""
    check_hardware(settings.trainer)
    out, image = Path(settings.out), Path(settings.image)
    overviews, (sources, faults) = paths_of(settings), sources_of(image, out)
    mask = open_mask(Path(settings.mask)) if settings.mask is not None else None
    home, pipeline = _opened(settings)
    editor = Editor(pipeline, options_for(settings.task, settings.options))
    place = partial(place_in, settings, None if mask is None else mask.hole)
    windows = windows_of(sources, editor, place)
    labels = labels_for(settings.label, pipeline, home, editor.options.hide)
    known_by = {
        **settings.where,
        **({} if mask is None else {"mask": mask.sha256}),
        **{"task": settings.task, "label": labels.known_by, "seed": settings.seed},
        **asdict(editor.options),
        **pipeline.decoder.settings,
    }
    edits = Edits(out, known_by, _weights(pipeline), _code(pipeline))
    edits.check()
    work = Work(
        editor=editor,
        edits=edits,
        sources=sources,
        faults=faults,
        windows=windows,
        variants=settings.n,
        seed=settings.seed,
        batch_size=settings.batch_size,
        place=place,
        label=labels.of,
        command=partial(command_for, settings),
    )
    return Prepared(work, missing(overviews, work), home, mask)


def run(settings: EditConf, overrides: Sequence[str], prepared: Prepared) -> None:
    """Writes `out/PICTURE-K.png` for each picture and variant; with several devices each process makes its share.

    Raises:
        UserError: some of many pictures cannot be read, once all others are edited.
    """
    work, home = prepared.work, prepared.home
    console = Terminal(Console(quiet=True) if not ranks.is_main() else None)
    if home is not None:
        note_other_code(home, console)
    for conversion in prepared.mask.conversions if prepared.mask is not None else ():
        console.note("mask", conversion)
    if work.faults:
        said = f"{len(work.faults):,} of {work.n_pictures:,} cannot be read: they are left out, and listed at the end"
        console.note("pictures", said)
    if ranks.is_main():
        make_room(prepared.overviews)
    with _alone_in(work.edits):
        rank, n_ranks = ranks.rank(), ranks.world_size()
        bar = console.bar("windows" if max(work.windows.values()) > 1 else "edits", work.length(rank, n_ranks))
        with console.stage("edits", _plan(settings, work)) as notes, bar as advance:
            done = work.carry_out(rank, n_ranks, advance, watch=STEPS in prepared.overviews and ranks.is_main())
            whole = _together(done)
            notes.append(f"{whole.made:,} made")
        _say(console, whole, len(work.sources))
        console.note("written", str(work.edits.folder))
        if ranks.is_main():
            for path in draw(prepared.overviews, work, done.first):
                console.note("picture", str(path))
    if whole.faults:
        count = f"{len(whole.faults):,} of {work.n_pictures:,} pictures could not be edited; all others were"
        raise UserError(f"{count}: {listed(whole.faults)}")


def _opened(settings: EditConf) -> tuple[RunFolder | None, Pipeline]:
    """The run, if it is one, and its model, at the T that is asked for."""
    hardware, path = settings.trainer, Path(settings.checkpoint)
    starts_others = hardware.devices * hardware.num_nodes > 1 and ranks.world_size() == 1
    device = device_of(hardware.accelerator, "trainer.accelerator")
    pipeline = open_trained(
        settings.checkpoint,
        tokenizer_file(settings.tokenizer),
        settings.decode,
        torch.device("cpu") if starts_others else device,
        settings.cache_dir,
    ).pipeline
    if not pipeline.is_autoregressive:  # else the editor refuses it
        pipeline = pipeline.at(settings.decode.get("steps") or USUAL_STEPS)
    return RunFolder(path, settings.cache_dir) if is_run(path) else None, pipeline


def _weights(pipeline: Pipeline) -> str:
    """The hash of the weights, as rows of results have it."""
    return weights_digest(pipeline.model, pipeline.tokenizer)  # type: ignore[arg-type]


def _code(pipeline: Pipeline) -> Code:
    """The code that edits, with that of the networks and the decoder."""
    parts = [pipeline.model, pipeline.tokenizer, pipeline.decoder, getattr(pipeline.decoder, "schedule", None)]
    kinds = [f"{type(part).__module__}.{type(part).__qualname__}" for part in parts if part is not None]
    return code_of(*CODE, *kinds)


@contextmanager
def _alone_in(edits: Edits) -> Iterator[None]:
    """Makes the folder of the results, and keeps other commands out of it."""
    if not ranks.is_main():
        ranks.barrier()
        yield
        return
    with held(made_folder(edits.folder), "out", wait=False):
        edits.check()
        edits.begin()
        ranks.barrier()
        yield


def _together(done: Done) -> Done:
    """What all processes have done."""
    whole = Done()
    for part in ranks.gather(replace(done, first=None)):
        whole.add(part)
    return whole


def _plan(settings: EditConf, work: Work) -> str:
    pictures = f"{len(work.sources):,} picture{'s' if len(work.sources) > 1 else ''}"
    variants = f", {work.variants:,} variants of each" if work.variants > 1 else ""
    decoding = work.editor.pipeline.decoder.settings
    schedule = decoding.get("decode_schedule", "no")
    return f"{settings.task} of {pictures}{variants} at T = {decoding.get('steps')}, {schedule} schedule"


def _say(console: Terminal, done: Done, n_sources: int) -> None:
    """What was found, converted and recognised."""
    if done.found:
        console.note("edits", f"{done.found:,} were finished before: nothing is done twice")
    if done.unseen:
        said = "grow widens the hole to all tokens of the picture: only the class is used"
        console.note("edits", f"{said}{_of(done.unseen, n_sources)}")
    for conversion, count in sorted(done.conversions.items()):
        console.note("picture" if n_sources == 1 else "pictures", f"{conversion}{_of(count, n_sources)}")
    for (name, source), count in done.classes.most_common(MOST_NAMED):
        if source != "label":
            console.note("class", f"{FROM[source].format(name=name)}{_of(count, n_sources)}")


def _of(count: int, n_sources: int) -> str:
    return "" if n_sources == 1 else f" ({count:,} of them)"
