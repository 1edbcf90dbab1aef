"""What is wrong with a file as a whole: nothing of it loads, the rest of the folder does."""

from __future__ import annotations

from base.errors import FileError
from base.text import Text, say

TAKE_AWAY = say("Уберите этот файл из папки.", "Take this file out of the folder.")


class FileRefusal(FileError):  # noqa: N818 - a verdict on a file, not a failure of the program
    """A file of which nothing may be loaded.

    `code` is stable (`damaged_text`, `encrypted`, …), `path` the place (`line 12`, `Лист1!B4`).
    `bears` is False for a file that would have said nothing about until when money is complete.
    """

    def __init__(
        self, code: str, what: Text, remedy: Text | None = None, *, path: str = "", bears: bool = True
    ) -> None:
        super().__init__(what, remedy)
        self.code = code
        self.path = path
        self.bears = bears

    @property
    def message(self) -> Text:
        """What happened and what to do, in one text."""
        if self.remedy is None:
            return self.what
        return say("{what} {remedy}", "{what} {remedy}", what=self.what, remedy=self.remedy)
