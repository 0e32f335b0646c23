"""Where accounts are kept and changed: TOML and htdigest files, SQL; and the forms of others that are read and written.

An authority answers about one user at a time; a store is the same accounts as an administrator sees them.
"""
