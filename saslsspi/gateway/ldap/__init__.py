"""LDAP: simple binds come in, and each is a logon of its own behind which everything is carried as it is."""
