"""What runs in the peers' own environments: no type checker here knows their packages."""
