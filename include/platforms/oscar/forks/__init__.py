"""What a shop changes of Oscar, in the way Oscar wants it done: apps of the same label with some classes of their own."""
