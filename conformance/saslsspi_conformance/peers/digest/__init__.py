"""Both sides of DIGEST-MD5, as a script has them."""
