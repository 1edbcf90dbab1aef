"""A simulated Zadarma: what a `Story`'s calls look like to this vendor, served as its documentation says."""

from demo.zadarma.server import ZadarmaServer
from demo.zadarma.world import ZadarmaWorld, pbx_call_id_of, world_from_story

__all__ = ["ZadarmaServer", "ZadarmaWorld", "pbx_call_id_of", "world_from_story"]
