"""The demo's shop: its past (generator), its application (writer) and the proof that nothing was lost (ledger)."""
