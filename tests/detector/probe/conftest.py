from .network import network

__all__ = ["network"]
