"""How fast the engine is, beside what the disk allows and what its peers do. Nothing here is part of the package."""
