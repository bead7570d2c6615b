"""Events of a run to wandb: what is told (`records`), by whom (`session`), and the one process that imports wandb (`child`)."""
