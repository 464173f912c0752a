"""What points are answered with: a table that rises in steps, and which steps a route takes part in."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal

AnswerWord = Literal["nothing", "proof", "captcha", "behind", "refuse"]


class Answer(enum.IntEnum):
    """Each answer includes those before it, but a refusal."""

    NOTHING = 0
    PROOF = 1
    """A proof that stands, or a new one."""
    CAPTCHA = 2
    """A new proof with each request. ALTCHA's is harder, another provider's is its captcha."""
    BEHIND = 3
    """The command waits behind those of others while the lane is busy."""
    REFUSE = 4

    @property
    def word(self) -> AnswerWord:
        """As operators and clients read it."""
        return _WORDS[self]


_WORDS: Final[dict[Answer, AnswerWord]] = {
    Answer.NOTHING: "nothing",
    Answer.PROOF: "proof",
    Answer.CAPTCHA: "captcha",
    Answer.BEHIND: "behind",
    Answer.REFUSE: "refuse",
}
POINTS: Final = {Answer.PROOF: 50, Answer.CAPTCHA: 65, Answer.BEHIND: 80, Answer.REFUSE: 110}
"""From so many points on it is answered so."""
WORK_TIMES: Final = {Answer.NOTHING: 1, Answer.PROOF: 1, Answer.CAPTCHA: 4, Answer.BEHIND: 8, Answer.REFUSE: 16}
"""So many times the ordinary work a challenge of ALTCHA costs then."""


def answer_of(points: int) -> Answer:
    """The answer that so many points have."""
    return max((answer for answer, least in POINTS.items() if points >= least), default=Answer.NOTHING)


class Step(enum.Enum):
    """What a fan does, in the order of a sale."""

    JOIN = "join"
    CLAIM = "claim"
    RESERVE = "reserve"
    CHECKOUT = "checkout"
    RELEASE = "release"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Weighed:
    """A route declares what its requests are counted as, and the highest answer that it may give."""

    step: Step
    highest: Answer


JOINED: Final = Weighed(Step.JOIN, Answer.REFUSE)
CLAIMED: Final = Weighed(Step.CLAIM, Answer.NOTHING)
"""Who is called has waited; the next seats are asked for the proof."""
RESERVED: Final = Weighed(Step.RESERVE, Answer.REFUSE)
BOUGHT: Final = Weighed(Step.CHECKOUT, Answer.NOTHING)
"""Whose seats are held may buy them: with the captcha of every checkout, and whatever was counted."""
RELEASED: Final = Weighed(Step.RELEASE, Answer.NOTHING)
CANCELLED: Final = Weighed(Step.CANCEL, Answer.NOTHING)
