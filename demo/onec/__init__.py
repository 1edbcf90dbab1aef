"""A simulated 1C: a database's OData interface, and CommerceML files as its exchange writes them."""

from demo.onec.server import OnecServer, Quirks
from demo.onec.world import OnecWorld, world_from_story

__all__ = ["OnecServer", "OnecWorld", "Quirks", "world_from_story"]
