"""From lots to a registered model."""
