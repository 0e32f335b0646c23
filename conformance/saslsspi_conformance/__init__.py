"""What the specifications ask of a SASL or SSPI peer, line by line, and the runner that asks it of one."""
