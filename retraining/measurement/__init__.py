"""What a model does in the real model server: started beside the running ones, asked over HTTP."""
