"""Trains and evaluates MaskGIT: `python train.py schedule=cosine`; `python train.py --help` tells the rest."""

from maskgit_lab.launch.cli import main

if __name__ == "__main__":
    main("train")
