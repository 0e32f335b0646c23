"""SASL in SMTP, IMAP and POP3."""
