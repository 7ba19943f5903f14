"""What can be learned by a moment: judgements with their labels, and the histories known before it."""

from dataclasses import dataclass

from features.delay import data_cut
from features.histories import Histories
from features.judgements import Judgements, judge
from features.rules import Rules
from training.labels import Labels, label


@dataclass(frozen=True)
class Known:
    """All that was known strictly before `until`."""

    histories: Histories
    rules: Rules
    until: int
    judgements: Judgements
    labels: Labels


def known_by(histories: Histories, rules: Rules, *, until: int) -> Known:
    """Forgets what was not known strictly before `until`, judges the lots and labels them."""
    past = histories.known_before(until)
    judged = judge(past, rules, until=data_cut(past, rules, until=until))
    return Known(past, rules, until, judged, label(judged, past, rules, until=until))
