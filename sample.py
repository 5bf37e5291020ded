"""Draws samples from a run: `python sample.py checkpoint=RUN_DIR classes=[3,7] n=16 out=DIR`."""

from maskgit_lab.launch.cli import main

if __name__ == "__main__":
    main("sample")
