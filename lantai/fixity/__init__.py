"""Whether what is kept is still what was stored: audits over time, and repair from another store.

audit:   one package in one store, at a level; what a store holds against what the catalogue knows
spending: what is left of a budget
seen:    what an audit of a store has looked at
repair:  a store's package made whole again from another store's
"""
