"""One gate a file; each is a pure function from the evidence to one `GateResult`.

A gate passes when the limit is shown to be kept and rolls back when harm is shown; passing goes first, since
a difference within the margin is one that was agreed to be borne. Everything else holds.
"""
