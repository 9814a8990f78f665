"""The wire contract's generated classes.

`proto/generate.sh` writes everything else here from `proto/pilotlight/wire/simulator.proto`; edit that file. Message
and enum names, spelling included, are the contract's. The serving path reads requests in the compiled core instead.
"""
