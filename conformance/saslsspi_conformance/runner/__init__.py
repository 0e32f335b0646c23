"""Which cases run, how, and what is told of them."""
