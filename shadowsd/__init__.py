"""The daemon that runs the tasks of `shadows` on a machine, and the command lines."""
