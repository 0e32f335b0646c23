"""The engine as a service for programs that are not in Python: Postfix, Exim and Cyrus's programs ask a socket."""
