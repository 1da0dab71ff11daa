"""`make fuzz`: hostile events, bundles and files, and the registry's protocol under any schedule.

Every part is a function of a number of cases and a seed; it counts what it did and raises
`AssertionError` with the case at the first fault. `make test` runs each with few cases, and with a
broken variant that it must catch.
"""
