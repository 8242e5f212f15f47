"""The `trimtab` command, and the local stack that `trimtab up` runs."""
