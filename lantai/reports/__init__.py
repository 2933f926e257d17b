"""What the archive says of itself to those who answer for it. Rooms and shells give values; here they become a report.

promise: the time within which each package is audited in each store
overdue: a package in a store whose last check, or whose arrival if it was never checked, is longer ago than the promise
round:   every package of a store checked once
loss:    no copy of a package is whole any more
"""
