"""Parts of the rows: how a model does on each, which it serves worst, and how alike it serves people."""
