"""Who is told of what happens: the audit log of servers, and the hook that sees each step."""
