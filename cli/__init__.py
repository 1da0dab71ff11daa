"""The `noria` command: what a person does with a deployed stack, local or on AWS."""
