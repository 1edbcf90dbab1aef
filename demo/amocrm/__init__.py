"""A simulated amoCRM account: its records (`AmocrmWorld`), told from a story, and the server that serves them."""

from demo.amocrm.oauth import TokenOffice
from demo.amocrm.server import AmocrmServer, Quirks
from demo.amocrm.telling import world_from_story
from demo.amocrm.world import AmocrmWorld

__all__ = ["AmocrmServer", "AmocrmWorld", "Quirks", "TokenOffice", "world_from_story"]
