"""The network that is fitted, and what it reads."""
