"""What carries exchanges and layers: sockets, streams, and other people's clients. No protocol logic lives here."""
