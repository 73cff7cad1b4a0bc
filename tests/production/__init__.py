"""Production from end to end on loopback. A package, so that its fixtures end with the last of its tests."""
