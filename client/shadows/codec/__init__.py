"""Turns calls, results and exceptions into bytes and back, directed by the tasks' annotations."""
