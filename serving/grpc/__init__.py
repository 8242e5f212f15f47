"""The Open Inference Protocol V2 over gRPC: each call is the same request as over REST, in another coat.

Nothing else in the room imports it, but for the server that was asked for a port of gRPC: it comes with the
extra ``grpc``.
"""
