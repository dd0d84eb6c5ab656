"""The processes that serve, their supervisor and their sockets."""
