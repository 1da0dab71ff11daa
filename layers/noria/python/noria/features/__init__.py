"""Feature views: fitted on training rows, applied by one code path in training and serving."""
