"""Score one feature row with a bundle's model: linear forms, kernels and tree ensembles.

Standard library only, in plain double precision. Each scorer returns raw scores, one per output;
a link turns them into what the caller gets.
"""
