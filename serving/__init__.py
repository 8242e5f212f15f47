"""The model server: one process a slot, Open Inference Protocol in, every answer in the inference log."""
