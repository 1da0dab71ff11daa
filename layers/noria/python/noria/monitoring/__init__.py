"""Is the model still good: drift, realised and estimated performance, and what to do about it.

Pure: profiles and outcomes in, findings and decisions out. `drift/` holds one statistic per file;
`drift_check` corrects and confirms them; `rules` are the named rules of a spec; `performance` has
labels or does without; `retraining` decides.
"""
