"""Both sides of CredSSP, as a script has them."""
