"""What a sender can do to a decision, and what harmless texts of other kinds meet."""
