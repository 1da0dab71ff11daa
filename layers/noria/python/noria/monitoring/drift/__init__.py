"""Drift statistics, one per file: (reference profile, current profile) in, a `Finding` out.

A statistic says how far and how sure; how far is too far is the policy's, in the spec.
"""
