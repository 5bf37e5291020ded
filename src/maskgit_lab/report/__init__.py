"""Reports of runs: figures, tables, sentences and pages; the numbers come from `maskgit_lab.ablation`."""
