"""What several server processes share, in Redis: the uses of nonces, and how often somebody failed."""
