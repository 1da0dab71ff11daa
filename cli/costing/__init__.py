"""What a deployment costs a month: its templates, metered work, and a dated list of prices."""
