"""One side of one exchange on standard input and output, a line at a time."""
