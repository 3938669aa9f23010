"""On call: what is made of verdicts over time, as the engineer with the pager would."""
