"""The daemon that has every closed window of every model judged and stored."""
