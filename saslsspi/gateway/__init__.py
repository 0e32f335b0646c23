"""A local door for programs that can log on with a password and nothing else: what goes out is sealed, or a token."""
