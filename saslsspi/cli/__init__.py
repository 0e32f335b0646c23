"""The commands of the program `saslsspi`: one module each, loaded when it is asked for."""
