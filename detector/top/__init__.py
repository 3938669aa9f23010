"""`anchorwatch top`: a running daemon, seen from a terminal.

`asking` fetches its status, `picture` makes lines of it, `watching` does both again and again.
"""
