"""The commands that serve until they are told to end."""
