"""Pictures: what a training looked like, what a bundle makes of captures.

`style` knows colours, texts and files; each other file draws one picture. A further picture is a
file with a function that gives a `Figure`, and a command in `plot_cli.py`. Only here is
matplotlib imported; never `pyplot`, which keeps figures and settings for the whole process.
"""
