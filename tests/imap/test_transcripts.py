# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from tests.support.transcript import Dialogue, Play, all_dialogues


@pytest.mark.parametrize("dialogue", all_dialogues(), ids=lambda dialogue: dialogue.name)
def test_dialogue(dialogue: Dialogue) -> None:
    """Each dialogue in `tests/transcripts` goes as it is written."""
    Play(dialogue).run()
