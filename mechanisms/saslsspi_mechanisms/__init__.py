"""The SASL mechanisms that come with saslsspi, as anybody else would ship them: one module and one entry point each."""
