"""IMAP, SMTP and POP3: a name and a password come in; behind the logon lines are carried as they are."""
