"""Where slots come from: the `Platform` protocol and its implementations, one file each."""
