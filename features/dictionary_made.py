"""What the features of production and suppliers mean, in English and Chinese, in the order of their columns."""

from features.dictionary_words import NO_GROUP, WEIGHTED, Family, Text

_NOT_INSPECTED = Text("not inspected", "未检验")
_NO_LIMITS = Text("no value with limits", "无带规格限的测量值")
_LIMIT_SCALE = Text(
    "1 in the middle, 0 at the limit, below 0 outside; with one limit only, over that limit's size.",
    "居中为1，在规格限上为0，超限为负；仅有单侧规格限时，与该限值之比。",
)

PRODUCTION = (
    Family(
        "quantity",
        "units",
        Text("Quantity of the lot", "批量"),
        Text("1 where none is given.", "未提供时为1。"),
        "lots.quantity",
    ),
    Family(
        "days_since_production",
        "days",
        Text("Time from production to the judgement", "生产至判定的时间"),
        Text("", ""),
        "lots.produced_at",
    ),
    Family(
        "lot_{attribute}",
        "",
        Text("The lot's {attribute}", "批次的{attribute}"),
        Text("The column of lots as it stands.", "取lots表原列。"),
        "lots.{attribute}",
        Text("not given", "未提供"),
    ),
    Family(
        "customer_{attribute}",
        "",
        Text("The customer's {attribute}", "客户的{attribute}"),
        Text("The column of lots as it stands.", "取lots表原列。"),
        "customers.{attribute}",
        Text("not given", "未提供"),
    ),
    Family(
        "{entity}_lots_7d",
        "lots",
        Text("Other lots of the {entity}, last 7 days", "同{entity}近7天其他批数"),
        Text("Counted back from the lot's own production.", "自本批生产时刻起往前计。"),
        "lots.{entity}_id, lots.produced_at",
    ),
    Family(
        "{entity}_hours_since_lot",
        "hours",
        Text("Time from the {entity}'s lot before to this one", "同{entity}前一批至本批的生产间隔"),
        Text("From production to production.", "生产时刻之间的间隔。"),
        "lots.{entity}_id, lots.produced_at",
        Text("no other lot known", "尚无其他批次"),
    ),
    Family(
        "measurements",
        "values",
        Text("Measured values of the lot", "批次测量值个数"),
        Text("", ""),
        "measurements",
    ),
    Family(
        "measurements_out_of_limits",
        "values",
        Text("Measured values outside their limits", "超规格测量值个数"),
        Text("Values without limits do not count.", "无规格限的测量值不计。"),
        "measurements.value, lower_spec, upper_spec",
        direction=1,
    ),
    Family(
        "smallest_margin",
        "share of half the tolerance",
        Text("Smallest distance of the lot's values to a limit", "批次测量值距规格限的最小裕量"),
        _LIMIT_SCALE,
        "measurements.value, lower_spec, upper_spec",
        _NO_LIMITS,
        direction=-1,
    ),
    Family(
        "measured_{characteristic}",
        "as measured",
        Text("{characteristic}, mean of the lot", "{characteristic} 批均值"),
        Text("", ""),
        "measurements.value",
        Text("not measured", "未测量"),
    ),
    Family(
        "spread_{characteristic}",
        "as measured",
        Text("{characteristic}, standard deviation within the lot", "{characteristic} 批内标准差"),
        Text("", ""),
        "measurements.value",
        Text("fewer than two values", "测量值少于两个"),
        direction=1,
    ),
    Family(
        "margin_{characteristic}",
        "share of half the tolerance",
        Text("{characteristic}, smallest distance to a limit", "{characteristic} 距规格限的最小裕量"),
        _LIMIT_SCALE,
        "measurements.value, lower_spec, upper_spec",
        _NO_LIMITS,
        direction=-1,
    ),
    Family(
        "{characteristic}_vs_{entity}",
        "standard deviations",
        Text("{characteristic} against recent values of the {entity}", "{characteristic} 相对同{entity}近期值的偏离"),
        Text(
            "The lot's mean less theirs, over the standard deviation of single values; 365 days of a product, "
            "90 of a line; at most ±20.",
            "批均值减其均值，再除以单值标准差；产品取近365天，产线取近90天；限于±20。",
        ),
        "measurements.value, lots.{entity}_id",
        Text("not measured, or fewer than 5 recent values", "未测量，或近期值少于5个"),
    ),
)

SUPPLIER = (
    Family(
        "{group}_lots_mixed",
        "supplier lots",
        Text("Different supplier lots of {group} in the lot", "本批所用 {group} 来料批数"),
        Text("1: not mixed.", "1 表示未混用。"),
        "genealogy.supplier_lot_id",
        Text("no supplier lot of it known", "该物料来料批未知"),
    ),
    Family(
        "{group}_age",
        "days",
        Text("Time from receipt of {group} to the judgement", "{group} 来料至判定的时间"),
        WEIGHTED,
        "supplier_lots.received_at",
        NO_GROUP,
    ),
    Family(
        "{group}_supplier",
        "",
        Text("Supplier of {group}", "{group} 的供应商"),
        Text("Of the supplier lot with the largest share.", "取占比最大的来料批。"),
        "supplier_lots.supplier_id",
        NO_GROUP,
    ),
    Family(
        "{group}_supplier_receipts_365d",
        "supplier lots",
        Text("Receipts from the {group} supplier, last 365 days", "{group} 供应商近365天来料批数"),
        Text("Of all its materials. " + WEIGHTED.en, "含其全部物料。" + WEIGHTED.zh),
        "supplier_lots.supplier_id, received_at",
        NO_GROUP,
    ),
    Family(
        "{group}_lot_{attribute}",
        "",
        Text("{attribute} of {group}", "{group} 的{attribute}"),
        Text(
            "The column of supplier_lots: of a number the weighted mean, of a category that of the largest share.",
            "取supplier_lots表原列：数值取加权均值，类别取占比最大者。",
        ),
        "supplier_lots.{attribute}",
        Text("not given", "未提供"),
    ),
    Family(
        "{group}_inspected_{characteristic}",
        "as inspected",
        Text("{characteristic} of {group} at incoming inspection", "{group} 来料检验的{characteristic}"),
        Text("Latest known value of each supplier lot. " + WEIGHTED.en, "取各来料批最近已知值。" + WEIGHTED.zh),
        "inspections.value",
        _NOT_INSPECTED,
    ),
    Family(
        "{group}_defect_share",
        "share",
        Text("Defect share of {group} at incoming inspection", "{group} 来料检验不良率"),
        Text("Defects over sample size of the supplier lots used.", "所用来料批的不良数除以抽样数。"),
        "inspections.defects, sample_size",
        _NOT_INSPECTED,
        direction=1,
    ),
    *(
        Family(
            f"{{group}}_{{entity}}_defect_share_{days}d",
            "share",
            Text(
                f"Defect share of the {{group}} {{entity}} at incoming inspection, last {days} days",
                f"{{group}} {{entity}}近{days}天来料检验不良率",
            ),
            Text(
                "Of all it delivered; a supplier leans on its material, that on the plant, while there is little.",
                "含其全部来料；数据少时供应商向物料收缩，物料向全厂收缩。",
            ),
            "inspections.defects, sample_size",
            NO_GROUP,
            direction=1,
        )
        for days in (90, 365)
    ),
)
