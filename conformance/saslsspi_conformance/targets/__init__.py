"""What can be tested: our own client and server in memory, servers behind a URL, and clients that connect."""
