"""What a long-running service needs beside its protocol: a configuration, sockets, workers, and word for systemd."""
