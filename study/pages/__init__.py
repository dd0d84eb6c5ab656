"""Pages in Markdown, each a function of the stored figures alone."""
