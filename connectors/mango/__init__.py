"""Mango Office virtual PBX: employees, lines, groups, and calls from the account's statistics."""
