"""One SASL exchange in the protocols of lines: clients, servers, blocking and asyncio."""
