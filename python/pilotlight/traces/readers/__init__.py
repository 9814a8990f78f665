"""One reader a published layout of traces, each of which makes a `Trace`; `reading` knows them all and chooses."""
