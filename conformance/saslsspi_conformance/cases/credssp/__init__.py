"""CREDSSP over SASL, and MS-CSSP inside it."""
