"""`shadowsd demo`: what the daemon does, shown in a few seconds on a Redis of its own."""
