"""Curves, tables and figures of runs: `python report.py runs=DIR out=DIR`; `python report.py --help` tells the rest."""

from maskgit_lab.launch.cli import main

if __name__ == "__main__":
    main("report")
