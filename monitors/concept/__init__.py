"""Whether the model's loss has risen since its reference, since when, and by how much.

`losses` is what a row costs, `blocks` what is kept of a window, `source` what the reference showed;
`risk` decides, `onset` dates the change, `streams` has river's detectors, `judge` says it all.
"""
