"""shopferry moves a running online shop from its legacy store to its new shop."""
