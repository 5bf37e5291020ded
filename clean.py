"""What lies in runs and their cache, and its removal: `python clean.py remove=unused`; `--help` tells the rest."""

from maskgit_lab.launch.cli import main

if __name__ == "__main__":
    main("clean")
