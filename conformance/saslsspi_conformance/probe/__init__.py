"""What a server offers and what is weak about it: asked without credentials, judged against a policy."""
