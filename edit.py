"""Edits pictures: `python edit.py checkpoint=RUN_DIR task=inpaint image=FILE box=[4,4,12,12] out=FOLDER`."""

from maskgit_lab.launch.cli import main

if __name__ == "__main__":
    main("edit")
