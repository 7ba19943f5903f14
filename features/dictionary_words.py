"""The words of the dictionary: what units, entities and sentences are called, in English and Chinese."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from features.layout import POOLED


class Text(NamedTuple):
    """The same in both languages."""

    en: str
    zh: str


@dataclass(frozen=True)
class Family:
    """One row of the dictionary.

    `says`: the beginning of a sentence about it, with the {placeholders} of `name`. `counts`: how exactly.
    `source`: canonical tables and columns. `null`: what a missing value means; None: it is never missing.
    `direction`: where engineering knows one, +1: higher is riskier, -1: lower is; 0: not known.
    """

    name: str
    unit: str
    says: Text
    counts: Text
    source: str
    null: Text | None = None
    direction: int = 0


@dataclass(frozen=True)
class Unit:
    """`name` of the unit, a value in it (`one`: of exactly one, in English), and how its number is written."""

    name: Text
    value: Text
    number: Literal["percent", "count", "signed", "ratio", "plain"]
    one: str = ""


UNITS = {
    "": Unit(Text("as given", "按来源"), Text("{}", "{}"), "plain"),
    "as measured": Unit(Text("as measured", "测量单位"), Text("{}", "{}"), "plain"),
    "as inspected": Unit(Text("as inspected", "检验单位"), Text("{}", "{}"), "plain"),
    "share": Unit(Text("share", "比例"), Text("{} %", "{} %"), "percent"),
    "share of half the tolerance": Unit(
        Text("share of half the tolerance", "与半公差之比"),
        Text("{} % of half the tolerance", "半公差的 {} %"),
        "percent",
    ),
    "log ratio": Unit(Text("log ratio", "对数比"), Text("{} times", "{} 倍"), "ratio"),
    "standard deviations": Unit(
        Text("standard deviations", "标准差"), Text("{} standard deviations", "{} 个标准差"), "signed"
    ),
    "1/(million unit days)": Unit(
        Text("1/(million unit days)", "件/(百万件·天)"),
        Text("{} returned units per million unit days", "{} 件/(百万件·天)"),
        "count",
        one="{} returned unit per million unit days",
    ),
    "days": Unit(Text("days", "天"), Text("{} days", "{} 天"), "count", one="{} day"),
    "hours": Unit(Text("hours", "小时"), Text("{} hours", "{} 小时"), "count", one="{} hour"),
    "units": Unit(Text("units", "件"), Text("{} units", "{} 件"), "count", one="{} unit"),
    "values": Unit(Text("values", "个"), Text("{} values", "{} 个"), "count", one="{} value"),
    "lots": Unit(Text("lots", "批"), Text("{} lots", "{} 批"), "count", one="{} lot"),
    "actions": Unit(Text("actions", "项"), Text("{} actions", "{} 项"), "count", one="{} action"),
    "score": Unit(Text("score", "分"), Text("{}", "{} 分"), "plain"),
    "supplier lots": Unit(
        Text("supplier lots", "来料批"), Text("{} supplier lots", "{} 个来料批"), "count", one="{} supplier lot"
    ),
}

ENTITIES = {
    "plant": Text("plant", "工厂"),
    "product": Text("product", "产品"),
    "line": Text("line", "产线"),
    "customer": Text("customer", "客户"),
    "supplier": Text("supplier", "供应商"),
    "supplier_lot": Text("supplier lot", "来料批"),
    "material": Text("material", "物料"),
}

WORDS = {
    "entity": ENTITIES,
    "group": {POOLED: Text("other materials", "其他物料")},
    "attribute": {
        "product_id": Text("product", "产品"),
        "line_id": Text("line", "产线"),
        "site_id": Text("site", "厂区"),
        "customer_id": Text("customer", "客户"),
    },
}
"""What stands for a placeholder's value; any other value is the site's own name and stands for itself."""

UNKNOWN = Text("not known", "未知")
UNSEEN = Text("{}, or not seen in training", "{}，或训练中未出现")
USUALLY = Text("{} (usually {})", "{}（通常 {}）")
SENTENCE = Text("{}: {}", "{}：{}")

NO_GROUP = Text("none known in the lot", "本批未见使用")
WEIGHTED = Text("Weighted by quantity within each material.", "按每种物料内的用量加权。")
