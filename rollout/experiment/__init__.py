"""A/B experiments: a split held between the champion and another version, and what it has shown.

An experiment is judged as a rollout of one step is, by the same gates with the same statistics; only what
follows from them differs: nobody is promoted, and the numbers of both versions are reported.
"""
