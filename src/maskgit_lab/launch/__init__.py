"""From a command line to a verb: configs, processes, sweeps and their jobs."""
