"""Documents that are generated, and what generates them."""

__all__: list[str] = []
