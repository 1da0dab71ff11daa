"""The CDK side: names, sizes and rights; it knows the domain by path only, never by import."""
