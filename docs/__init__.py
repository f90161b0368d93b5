"""The documents, and what writes the reference among them."""
