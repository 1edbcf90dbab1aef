"""A simulated Mango Office: what a `Story`'s calls look like to this vendor, served as its manual says."""

from demo.mango.server import MangoServer
from demo.mango.world import MangoWorld, entry_id_of, world_from_story

__all__ = ["MangoServer", "MangoWorld", "entry_id_of", "world_from_story"]
