"""The configs of the working folder: Hydra finds those in its `conf/` before those of this suite."""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from maskgit_lab.usage import configs


class WorkingFolder(SearchPathPlugin):
    """Adds `conf/` of the working folder, for the commands of this suite alone: Hydra asks it for every application."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own, here = configs() / "conf", Path.cwd() / "conf"
        is_ours = any(element.path == str(own) for element in search_path.get_path())
        if is_ours and here.is_dir() and here.resolve() != own:
            search_path.prepend("working-folder", f"file://{here}")
