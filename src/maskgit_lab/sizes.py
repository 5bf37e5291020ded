"""The largest sizes that settings may have, in one place.

What is larger is a slip of the keyboard: it would fill the memory, or go on for days before anybody notices. Everything
is compared with these before it is built or allocated.
"""

from __future__ import annotations

import os

MOST = 100_000_000  # of any count, such as steps and epochs
MOST_SIDE = 4096  # height and width of an image in pixels
MOST_SAMPLES = 1_000_000  # images of one call of sample.py or edit.py
MOST_IMAGES = 10_000_000  # samples of a point
MOST_AT_ONCE = 65_536  # images of a batch
MOST_STEPS = 4096  # T: four times the tokens of an image of 512 pixels
LARGEST = 1e30  # of any other number, such as a rate of learning: float32, in which networks count, ends at 3e38
MOST_SCALE = 1e9  # of guidance and of noise
MOST_VIEWS = 1000  # augmented views of an image in the token cache
MOST_OPERATIONS = 32  # of RandAugment on a view
MOST_DRAWS = 10_000  # of masks, subsets or samples that a number is the mean of
MOST_RESAMPLES = 100_000
MOST_PICTURED, MOST_STEPS_PICTURED = 64, 1024  # rows and columns of a grid of pictures; T of what it shows
MOST_NODES = 10_000
MOST_JOBS = 10_000  # of a sweep
MOST_WEIGHTS = 10_000_000_000  # of a network
MOST_CODES, MOST_TOKENS = 2**18, 2**16  # of a codebook; of an image: the attention is over all of them
MOST_LAYERS = 1000  # of a network, or blocks of one of its levels
MOST_MODULES = 10_000  # of a network of any class
LEAST_PROCESSES = 8  # that any machine can take


def most_processes() -> int:
    """Processes that this machine can take: more than its cores, since not all of them work at all times."""
    return max(LEAST_PROCESSES, 2 * (os.cpu_count() or 1))


def memory() -> int | None:
    """Bytes of this machine's memory, if it says so."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # on Windows there is no such function
        return None
