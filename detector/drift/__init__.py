"""Drift: whether traffic still is as it was when the encoder learnt.

`reference` is what a bundle keeps of the training, `wilson` the limit of a share, `drift` the
test of links and of all together, `telling` what comes of it, for people and for Prometheus.
"""
