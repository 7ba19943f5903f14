"""What the gate's rules, and the states in which a model cannot answer, are called in English and Chinese."""

from features.dictionary_words import Text

RULES = {
    "out_of_specification": Text("A measurement is out of specification", "测量值超出规格"),
    "blocked_supplier_lot": Text("A supplier lot that went into it is blocked", "所用供应商批次已被冻结"),
    "open_containment": Text("An open containment holds it", "受未关闭的围堵措施约束"),
    "customer_hold": Text("Its customer is on hold", "客户已暂停收货"),
    "overdue_inspection": Text("The incoming inspection of a supplier lot is overdue", "供应商批次的来料检验已逾期"),
}
"""By rule, in the order in which they are told."""

STATES = {
    "no_champion": Text("No model has been promoted", "尚无已发布的模型"),
    "unknown_lot": Text("The lot is not known, and no record of it was sent", "批次未知，且未随请求提供记录"),
    "not_open": Text(
        "It was held, scrapped or found failing, and not released since", "已被扣留、报废或判为不合格，此后未被放行"
    ),
    "contradicting_rows": Text("Rows about it contradict each other", "有关本批的数据相互矛盾"),
    "unknown_customer": Text("It is not known to which customer the lot goes", "不知本批发往哪个客户"),
    "unseen_product": Text("The model has never seen this product", "模型从未见过该产品"),
    "unseen_supplier": Text("The model has never seen a supplier of this lot", "模型从未见过本批的某个供应商"),
    "unknown_supplier_lot": Text("A supplier lot that went into it is not known", "所用供应商批次未知"),
    "unknown_name": Text("The record names what no table knows", "记录中的名称在各表中均不存在"),
    "missing_limits": Text("A measurement comes without the limits it always has", "测量值缺少一贯附带的规格限"),
    "wider_limits": Text(
        "A measurement passes only by limits wider than those last known", "测量值仅因规格限宽于最近已知者而合格"
    ),
    "impossible_value": Text("A value is so far out that it must be a mistake", "数值异常，必为错误"),
    "measured_after_as_of": Text("Rows of it are known only after the question", "本批的数据晚于提问时刻"),
    "stale_history": Text("The histories are out of date", "历史数据已过期"),
    "pending_history": Text("Rows about this lot have arrived and do not count yet", "与本批有关的新数据尚未生效"),
    "missing_table": Text(
        "A table of the model, or a column of a rule, is missing", "缺少模型所用的数据表或规则所用的列"
    ),
    "missing_history": Text("Nothing is known of this lot's material or measurements", "本批的用料或测量记录缺失"),
    "calibration_expired": Text("The model's calibration is past its date", "模型校准已过有效期"),
    "below_min_units": Text("Fewer units than the site judges", "数量低于可判定的下限"),
    "past_as_of": Text("The question is about the past", "提问针对的是过去的时刻"),
}
"""By state, in the order in which they are told."""

ASKS = {
    "inspect": Text("inspect the lot before it ships", "发货前须检验"),
    "hold": Text("keep the lot back", "扣留本批"),
    "cannot_assess": Text("a person has to decide", "须由人员决定"),
}
USES = Text("it uses {what}", "使用了 {what}")
"""Why a containment holds a lot."""
LISTED = Text("it is named there", "已被点名")
CANNOT_EXCLUDE = Text("by its genealogy {what} cannot be excluded", "谱系无法排除 {what}")
CONTAINMENT = Text("containment {number}: {why}", "围堵 {number}：{why}")
LIMITS = Text(
    "{characteristic} is {value}, the limits are {lower} to {upper}",
    "{characteristic} 为 {value}，规格为 {lower} 至 {upper}",
)
IS = Text("{what}: {column} is {value}", "{what}：{column} 为 {value}")
OVERDUE = Text("{what}: received {days} days ago, not inspected", "{what}：收货 {days} 天，尚未检验")
ANY = Text("any", "不限")
A_MEASUREMENT = Text("a measurement", "某项测量")
