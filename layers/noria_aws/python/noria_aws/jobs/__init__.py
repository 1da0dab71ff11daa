"""Entry points of Glue and SageMaker jobs."""
