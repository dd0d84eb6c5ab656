"""The wire formats of other services, one file each, over the same models, limits and keys."""
