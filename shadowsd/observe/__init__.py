"""Observers of the engine: logs; metrics, health and traces come with the daemon."""
