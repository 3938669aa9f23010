"""The shadow: a candidate that is shown the live traffic, and what it would have said.

`shadow` is the thread, `trial` judges and compares, `sightings` matches the faults that both
found, `fitting` turns live windows into the candidate's, `report` is what comes of it.
"""
