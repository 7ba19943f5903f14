"""The challenger beside the champion: the same judgements, by scores of the same moments.

A score counts only where both models gave one of the lot in answer to one question, so that neither knew more. What
was decided followed the champion alone and is in the labels of both. The interval is that of the mean difference of
log losses, weeks taken as independent of each other (Student's t).
"""

from typing import Any

import numpy as np

from features.asof import within
from serving.figures import MIN_FAILURES, MIN_WEEKS, Figures, weeks_of
from serving.performance import Judged, Predicted, measurable


def compared(
    judged: Judged, champion: Predicted, challenger: Predicted, *, names: tuple[str, str], start: int, until: int
) -> dict[str, Any]:
    """What performance.json says of the challenger, by judgements in [start, until); `names`: champion, challenger.

    `log_loss_difference`, challenger less champion, with its interval: "better" where that lies below zero, "worse"
    where above, else "not_told_apart"; "too_few" under MIN_FAILURES failures or MIN_WEEKS weeks. `unpaired`: judgements
    that only one scored, or both at different moments.
    """
    rows = measurable(judged, np.flatnonzero(within(judged.as_of, start, until)))
    scored = [~np.isnan(predicted.risk[rows]) for predicted in (champion, challenger)]
    same = (champion.about[rows] == challenger.about[rows]) & (champion.asked[rows] == challenger.asked[rows])
    both = rows[scored[0] & scored[1] & same]
    failed, week = judged.failed[both] == 1, weeks_of(judged.as_of[both])
    figures = [Figures(predicted.risk[both], failed, week) for predicted in (champion, challenger)]
    versions = [
        {"version": name, "role": role} | one.of(np.arange(len(both)))
        for name, role, one in zip(names, ("champion", "challenger"), figures, strict=True)
    ]
    said: dict[str, Any] = {"version": names[1], "champion": names[0], "judgements": len(both)}
    said |= {"failed": int(failed.sum()), "unpaired": int((scored[0] | scored[1]).sum()) - len(both)}
    said |= dict.fromkeys(("log_loss_difference", "log_loss_difference_low", "log_loss_difference_high"))
    said |= {"versions": versions, "verdict": "too_few"}
    weeks = figures[0].weeks
    about = f"version {names[1]} beside {names[0]}: {len(both):,} mature judgements that both scored"
    if said["failed"] < MIN_FAILURES or weeks < MIN_WEEKS:
        said["detail"] = (
            f"{about}, in {weeks} weeks, {said['failed']} failed; needs {MIN_FAILURES} failures and {MIN_WEEKS} weeks"
        )
        return said
    apart = figures[1].loss - figures[0].loss
    mean, half = float(apart.mean()), figures[0].quantile * figures[0].error(apart)
    low, high = mean - half, mean + half
    said |= {"log_loss_difference": mean, "log_loss_difference_low": low, "log_loss_difference_high": high}
    said["verdict"] = "better" if high < 0 else "worse" if low > 0 else "not_told_apart"
    words = {"better": "the challenger is better", "worse": "the challenger is worse"}
    losses = " and ".join(f"{one['log_loss']:.4f}" for one in reversed(versions))
    said["detail"] = (
        f"{about}, {said['failed']} failed; log losses {losses}, apart by {mean:+.4f} ({low:+.4f} to {high:+.4f}): "
        + words.get(said["verdict"], "the two are not told apart")
    )
    return said
