"""What is told to MLflow, and the model registry."""
