"""A simulated Bitrix24 portal: its records (`Bitrix24World`), told from a story, and the server that serves them."""

from demo.bitrix24.limits import Limits
from demo.bitrix24.server import Bitrix24Server, Quirks
from demo.bitrix24.telling import world_from_story
from demo.bitrix24.world import Bitrix24World

__all__ = ["Bitrix24Server", "Bitrix24World", "Limits", "Quirks", "world_from_story"]
