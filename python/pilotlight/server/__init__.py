"""`pilotlight serve`: the scaler behind gRPC."""
