"""The engine under every face: contexts, the package contract, environment, policy, flags and attributes."""
