"""Small IMAP, POP3 and SMTP servers on loopback."""
