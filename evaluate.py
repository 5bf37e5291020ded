"""Measures a model, or any images: `python evaluate.py checkpoint=RUN_DIR`; `python evaluate.py --help` tells more."""

from maskgit_lab.launch.cli import main

if __name__ == "__main__":
    main("evaluate")
