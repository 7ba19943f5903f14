"""What the features of the field and of the lot's own past mean, in English and Chinese, in their columns' order."""

from features.dictionary_words import NO_GROUP, WEIGHTED, Family, Text

_FIRST = Text("not judged before", "此前未判定")
_NO_RETURN = Text("no return known yet", "尚无已知退货")
_FATES = "shipments, returns or outcomes, dispositions"
_RETURNS = "shipments.quantity, returns.quantity"
_LEANS = Text("Leans on the plant while there is little of its own.", "自身数据少时向全厂水平收缩。")
_SETTLED = Text(
    "Of judged lots whose fate was settled in these days, without this lot. ",
    "按此期间结果已确定的判定批次计，不含本批。",
)
_AT_RISK = Text(
    "Units reported in these days over units at risk and time, without this lot. ",
    "此期间报告的退货件数除以在用件数与时间，不含本批。",
)
_SUPPLY_LEANS = Text(
    "A supplier lot leans on its supplier, that on the material, that on the plant. " + WEIGHTED.en,
    "来料批向供应商收缩，供应商向物料收缩，物料向全厂收缩。" + WEIGHTED.zh,
)
_OWN_LEANS = Text("Leans on the product while there is little of its own.", "自身数据少时向产品水平收缩。")


def _of_entity(days: int) -> tuple[Family, Family]:
    share = Text(
        f"Share of failing lots of the {{entity}}, last {days} days",
        f"{{entity}}近{days}天失效批占比",
    )
    rate = Text(f"Return rate of the {{entity}}, last {days} days", f"{{entity}}近{days}天退货率")
    return (
        Family(f"{{entity}}_fail_share_{days}d", "share", share, _both(_SETTLED, _LEANS), _FATES, direction=1),
        Family(
            f"{{entity}}_return_rate_{days}d",
            "1/(million unit days)",
            rate,
            _both(_AT_RISK, _LEANS),
            _RETURNS,
            direction=1,
        ),
    )


def _both(first: Text, second: Text) -> Text:
    return Text(first.en + second.en, first.zh + second.zh)


FIELD = (
    *_of_entity(90),
    *_of_entity(365),
    Family(
        "{entity}_return_trend",
        "log ratio",
        Text("Return rate of the {entity}, last 90 days over last 365 days", "{entity}近90天与近365天退货率之比"),
        Text("Logarithm of the ratio: above 0 the rate rises.", "取比值的对数，大于0为上升。"),
        _RETURNS,
        direction=1,
    ),
    Family(
        "{entity}_days_since_return",
        "days",
        Text("Time since the latest return of the {entity} was reported", "{entity}最近一次退货报告至今的时间"),
        Text("Without this lot's returns.", "不含本批退货。"),
        "returns.reported_at",
        _NO_RETURN,
        direction=-1,
    ),
    Family(
        "{group}_{entity}_fail_share_365d",
        "share",
        Text("Share of failing lots of the {group} {entity}, last 365 days", "{group} {entity}近365天失效批占比"),
        _both(_SETTLED, _SUPPLY_LEANS),
        _FATES + ", genealogy",
        NO_GROUP,
        direction=1,
    ),
    Family(
        "{group}_{entity}_return_rate_365d",
        "1/(million unit days)",
        Text("Return rate of the {group} {entity}, last 365 days", "{group} {entity}近365天退货率"),
        _both(_AT_RISK, _SUPPLY_LEANS),
        _RETURNS + ", genealogy",
        NO_GROUP,
        direction=1,
    ),
    Family(
        "supplier_fail_share_365d",
        "share",
        Text("Share of failing lots of the lot's suppliers, last 365 days", "本批各供应商近365天失效批占比"),
        Text(
            "Mean over material groups of the suppliers' shares; the plant's where none is known.",
            "各物料组供应商占比的均值；均未知时取全厂值。",
        ),
        _FATES + ", genealogy",
        direction=1,
    ),
)

OWN = (
    Family(
        "own_age_days",
        "days",
        Text("Time since the lot's first judgement", "批次首次判定至今的时间"),
        Text("Not since production.", "非自生产起算。"),
        "lots.shipped_at, shipments.shipped_at or lots.produced_at",
        _FIRST,
    ),
    Family(
        "own_units_at_risk",
        "units",
        Text("Units of the lot in the field", "本批在用件数"),
        Text("Shipped, less returned and withdrawn.", "已发运减去退回与撤回。"),
        _RETURNS,
        _FIRST,
    ),
    Family(
        "own_returned_90d",
        "units",
        Text("Returns of the lot itself, last 90 days", "本批近90天退货件数"),
        Text("Reported in these days.", "按此期间报告计。"),
        "returns.quantity",
        _FIRST,
        direction=1,
    ),
    Family(
        "own_returned_share",
        "share",
        Text("Share of the lot returned so far", "本批累计退货占比"),
        Text("Of the units shipped and not withdrawn.", "占已发运且未撤回件数。"),
        _RETURNS,
        _FIRST,
        direction=1,
    ),
    *(
        Family(
            f"own_return_rate_{days}d",
            "1/(million unit days)",
            Text(f"Return rate of the lot itself, last {days} days", f"本批近{days}天退货率"),
            _OWN_LEANS,
            _RETURNS,
            _FIRST,
            direction=1,
        )
        for days in (90, 365)
    ),
    Family(
        "own_days_since_return",
        "days",
        Text("Time since the latest return of the lot itself was reported", "本批最近一次退货报告至今的时间"),
        Text("", ""),
        "returns.reported_at",
        _NO_RETURN,
        direction=-1,
    ),
    Family(
        "own_fail_share_365d",
        "share",
        Text("Share of failing judgements of the lot itself, last 365 days", "本批近365天判定失效占比"),
        _OWN_LEANS,
        _FATES,
        _FIRST,
        direction=1,
    ),
)

ACTIONS = (
    Family(
        "{entity}_actions_open",
        "actions",
        Text("Open corrective actions on the {entity}", "针对{entity}的未关闭整改措施"),
        Text("The most of any supplier used, where it is the supplier.", "对供应商取所用各家中的最多者。"),
        "actions.scope, opened_at, closed_at",
    ),
    Family(
        "{entity}_days_since_action",
        "days",
        Text(
            "Time since the latest corrective action on the {entity} was opened",
            "{entity}最近一次整改措施开立至今的时间",
        ),
        Text("The shortest of any supplier used, where it is the supplier.", "对供应商取所用各家中的最短者。"),
        "actions.scope, opened_at",
        Text("no action known", "尚无已知措施"),
    ),
)

SURVEYS = (
    Family(
        "{entity}_survey_score_365d",
        "score",
        Text("Mean survey score of the {entity}, last 365 days", "{entity}近365天调查平均得分"),
        Text("Of the answers that name it.", "按提及该对象的答复计。"),
        "surveys.score",
        Text("no answer known", "尚无已知答复"),
    ),
)
