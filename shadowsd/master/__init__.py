"""The daemon: a master that owns the workers of a machine, keeps them alive and changes their code."""
