"""Noria's domain: specs, features, training, evaluation, promotion, serving.

No boto3, no environment, no clock, no print: everything outside comes through `noria.ports`.
"""
