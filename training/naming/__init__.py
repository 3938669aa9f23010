"""Naming: what people say of the traffic that was captured, and the captures read by it."""
