"""`shadowsd doctor`: what would bite in production, what it means, and what to do."""
