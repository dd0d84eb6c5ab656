"""What stands between a socket and the application: limits, timeouts, and their responses."""
