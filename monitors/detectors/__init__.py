"""When a series of windows says that something has changed, at a false-alarm budget.

`scan` is the default: windows against a shared finite reference, with any dependence. `e_detector` is for
series with independent evidence, `conformal` for scores of windows, `persistence` for "k of the last n",
`streams` for river's detectors on rows.
"""
