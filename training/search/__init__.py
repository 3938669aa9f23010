"""`anchorwatch search`: the training settings that suit somebody's own captures best.

captures → bank → candidates → ranking → refining → report, each in the file of its name.
"""
