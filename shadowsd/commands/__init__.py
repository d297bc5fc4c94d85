"""The command lines `shadows` and `shadowsd`."""
