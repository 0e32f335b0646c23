"""How a mechanism over a security context agrees on its layer: an object for each way, named by the description."""
