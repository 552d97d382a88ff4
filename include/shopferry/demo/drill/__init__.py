"""The drill: the evening of a cutover on the embedded stack, into which chance puts faults that a person finds and mends."""
