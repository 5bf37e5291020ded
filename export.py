"""A run as safetensors files with a model card: `python export.py checkpoint=RUN_DIR out=DIR`."""

from maskgit_lab.launch.cli import main

if __name__ == "__main__":
    main("export")
