"""`pilotlight bench`: how fast engine, extension, fronts and simulator are, side by side with others."""
