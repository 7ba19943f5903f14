"""Every word of the pages, in English and Chinese."""

from collections.abc import Callable

from features.dictionary import in_language
from features.dictionary_words import Text
from serving.words_containment import CONTAINMENT_WORDS
from serving.words_model import MODEL_WORDS

NAMES = {"en": "English", "zh": "中文"}
"""What each language calls itself, for the switch."""

WORDS = {
    **MODEL_WORDS,
    **CONTAINMENT_WORDS,
    # On every page
    "skip": Text("Skip to the content", "跳到正文"),
    "nav": Text("Pages", "页面"),
    "nav.lots": Text("Lots", "批次"),
    "nav.model": Text("Model", "模型"),
    "nav.check": Text("Check a lot", "查批次"),
    "nav.docs": Text("API", "接口"),
    "language": Text("Language", "语言"),
    "times_in": Text("Times in {zone}.", "时间均为 {zone} 时区。"),
    "yes": Text("yes", "是"),
    "no": Text("no", "否"),
    "none": Text("–", "–"),
    "login.title": Text("Log in", "登录"),
    "login.label": Text("Your key", "您的密钥"),
    "login.button": Text("Log in", "登录"),
    "login.about": Text(
        "It begins with lr_. Whoever runs this service makes one for you; the session ends after twelve hours.",
        "密钥以 lr_ 开头，由本服务的管理员发放；登录十二小时后失效。",
    ),
    "login.no_keys": Text("There are no keys yet: nobody has to log in.", "尚未设置密钥，无需登录。"),
    "login.out": Text("Log out {name}", "退出 {name}"),
    "login.key_refused": Text("This is no key of this service.", "这不是本服务的密钥。"),
    "login.key_expired": Text("This key has expired; ask for another.", "此密钥已过期，请申请新的密钥。"),
    "login.key_revoked": Text("This key was revoked; ask for another.", "此密钥已吊销，请申请新的密钥。"),
    "login.not_allowed": Text("This came from another page; log in from this one.", "请求来自其他页面，请在本页登录。"),
    "problem.title": Text("This page cannot be shown", "无法显示此页"),
    "not_allowed.title": Text("This page is not for your key", "您的密钥无权打开此页"),
    "not_allowed": Text(
        "Your key has the role {role}, which may not do this.", "您的密钥角色为 {role}，无权进行此操作。"
    ),
    "not_allowed.roles": Text("These roles may: {roles}.", "有权限的角色：{roles}。"),
    "problem.back": Text("Back to the lots", "返回批次列表"),
    "unknown_lot.title": Text("Unknown lot", "未知批次"),
    "unknown_lot": Text(
        "No lot of this id is known. Check the spelling, capitals and spaces; a lot that was produced a moment ago is "
        "known once its record has arrived.",
        "没有这个编号的批次。请核对字母大小写和空格；刚生产的批次要等记录到达后才能查到。",
    ),
    # Decisions
    "decision": Text("Decision", "判定"),
    "decision.release": Text("Release", "放行"),
    "decision.inspect": Text("Inspect", "检验"),
    "decision.hold": Text("Hold", "扣留"),
    "decision.cannot_assess": Text("Cannot assess", "无法评估"),
    "do.release": Text("Releasing is the cheapest choice.", "放行的预期损失最小。"),
    "do.inspect": Text("Inspect the lot before it ships.", "发货前须检验本批。"),
    "do.hold": Text("Keep the lot back.", "扣留本批，不得发货。"),
    "do.cannot_assess": Text(
        "This is not a release: a person has to decide about this lot.", "这不是放行：须由人员决定如何处理本批。"
    ),
    "gate.says": Text("Rules and doubts of the gate", "放行关口的规则与疑问"),
    "gate.not_recorded": Text(
        "What the gate would decide now. It is not recorded and releases nothing: the line asks the gate.",
        "此为放行关口此刻会作出的判定，未作记录，不构成放行；产线须询问放行关口。",
    ),
    "capacity.within": Text("today", "今日"),
    "capacity.beyond": Text("no room today", "今日已满"),
    "capacity.saves": Text("Room goes by expected saving; of this lot {amount}", "按预期节省排序；本批节省 {amount}"),
    # Facts of a lot
    "lot": Text("Lot", "批次"),
    "lot_id": Text("Lot", "批号"),
    "product_id": Text("Product", "产品"),
    "line_id": Text("Line", "产线"),
    "site_id": Text("Plant", "厂区"),
    "customer_id": Text("Customer", "客户"),
    "quantity": Text("Quantity", "数量"),
    "produced_at": Text("Produced", "生产时间"),
    "shipped_at": Text("Shipped", "发货时间"),
    "risk": Text("Risk", "风险"),
    "risk.own": Text("The lot's own, nine in ten", "本批自身概率（九成）"),
    "risk.range": Text("{low} to {high}", "{low} 至 {high}"),
    "expected_cost": Text("Expected cost", "预期损失"),
    "expected_cost.says": Text("Expected cost of releasing", "放行的预期损失"),
    "expected_saving.says": Text("Expected saving by not releasing", "不放行的预期节省"),
    "warnings": Text("Warnings", "提示"),
    "as_of": Text("As of", "截至"),
    "model_version": Text("Model", "模型"),
    "by": Text("as of {time} by model version {version}", "截至 {time}，模型版本 {version}"),
    "by_rate": Text("as of {time} by the {version}; there is no model", "截至 {time}，按{version}，尚无模型"),
    "facts_until": Text("facts known until {time}", "所用数据截至 {time}"),
    # Lots
    "lots.title": Text("Open lots by risk", "待判批次风险"),
    "lots.decision": Text("By risk", "按风险"),
    "lots.by_risk": Text(
        "Decisions here are by risk alone: rules of the gate may hold a lot that this list releases.",
        "此处判定仅按风险得出：列表中“放行”的批次，仍可能被放行关口的规则扣留。",
    ),
    "lots.caption": Text("Open lots, {sort}", "待判批次，{sort}"),
    "lots.total": Text("{count} lots", "共 {count} 批"),
    "lots.total.one": Text("1 lot", "共 1 批"),
    "lots.bars": Text("Bars: risk relative to the highest on this page.", "条形：相对于本页最高风险。"),
    "lots.filter": Text("Filter", "筛选"),
    "lots.filters": Text("Filters", "筛选条件"),
    "lots.clear": Text("Clear filters", "清除筛选"),
    "lots.sort": Text("Sort by", "排序"),
    "lots.csv": Text("Download as CSV", "下载 CSV"),
    "lots.next": Text("Next page", "下一页"),
    "lots.first": Text("First page", "第一页"),
    "lots.paging": Text("Paging", "翻页"),
    "lots.nothing": Text("No lot matches these filters.", "没有符合条件的批次。"),
    "lots.none": Text("No open lots are scored yet", "尚无已评分的待判批次"),
    "lots.none.what": Text(
        "Open lots are scored when the service starts, when the model or the data change, and every hour. If this "
        "stays empty, nothing has been produced that has not shipped, or the tables cannot be read: see /readyz.",
        "服务启动、模型或数据变化时以及每小时都会为待判批次评分。"
        "若一直为空，可能没有已生产未发货的批次，或服务读不到数据表：请看 /readyz。",
    ),
    "no_champion.title": Text("No model is in use yet", "尚无在用模型"),
    "no_champion": Text(
        "Lots are ordered by a trailing rate of failures and every decision is “cannot assess”. Train a model: "
        "lotrisk train, and the rule of promotion decides whether it may be used; the Model page says why not.",
        "目前按历史失效率排序，所有判定均为“无法评估”。请训练模型：lotrisk train；"
        "晋升规则决定能否启用，原因见“模型”页。",
    ),
    "filter.product": Text("Product", "产品"),
    "filter.line": Text("Line", "产线"),
    "filter.customer": Text("Customer", "客户"),
    "filter.supplier_lot": Text("Supplier lot", "来料批"),
    "filter.decision": Text("Decision", "判定"),
    "filter.min_percent": Text("Risk at least, %", "风险不低于 %"),
    "filter.shipped_from": Text("Shipped from", "发货自"),
    "filter.shipped_to": Text("Shipped to", "发货至"),
    "filter.any": Text("any", "全部"),
    "sort.-risk": Text("highest risk first", "风险从高到低"),
    "sort.risk": Text("lowest risk first", "风险从低到高"),
    "sort.-expected_cost": Text("highest expected cost first", "预期损失从高到低"),
    "sort.expected_cost": Text("lowest expected cost first", "预期损失从低到高"),
    "sort.-expected_saving": Text("highest expected saving first", "预期节省从高到低"),
    "sort.expected_saving": Text("lowest expected saving first", "预期节省从低到高"),
    "sort.-produced_at": Text("latest produced first", "最近生产在前"),
    "sort.produced_at": Text("earliest produced first", "最早生产在前"),
    "sort.-quantity": Text("largest lots first", "数量从大到小"),
    "sort.quantity": Text("smallest lots first", "数量从小到大"),
    "sort.-shipped_at": Text("latest shipped first", "最近发货在前"),
    "sort.shipped_at": Text("earliest shipped first", "最早发货在前"),
    "sort.lot_id": Text("by lot id", "按批号"),
    "sort.-lot_id": Text("by lot id, backwards", "按批号倒序"),
    "warnings.count": Text("{count} warnings", "{count} 条提示"),
    "warnings.count.one": Text("1 warning", "1 条提示"),
    # One lot
    "reasons": Text("Why", "原因"),
    "reasons.none": Text("No reasons are given: the risk is not that of a model.", "没有原因：风险不是由模型给出的。"),
    "reasons.reason": Text("Reason", "原因"),
    "reasons.effect": Text("safer ← → riskier", "降低风险 ← → 增加风险"),
    "reasons.riskier": Text("raises the risk ({value})", "增加风险（{value}）"),
    "reasons.safer": Text("lowers the risk ({value})", "降低风险（{value}）"),
    "reasons.unit": Text(
        "Contributions to the model's margin (log odds); the largest first.", "对模型输出（对数几率）的贡献，从大到小。"
    ),
    "history": Text("Risk over time", "风险变化"),
    "history.none": Text("No score of this lot has been logged yet.", "本批尚无评分记录。"),
    "history.table": Text("As a table", "以表格显示"),
    "history.asked_at": Text("Asked", "查询时间"),
    "history.source": Text("From", "来源"),
    "source.api": Text("a request", "接口请求"),
    "source.open": Text("the service's own run", "服务自动评分"),
    "source.gate": Text("the gate", "放行关口"),
    "facts": Text("The lot", "批次信息"),
    "genealogy": Text("What went into it", "物料追溯"),
    "genealogy.supplier_lot_id": Text("Supplier lot", "来料批"),
    "genealogy.supplier_id": Text("Supplier", "供应商"),
    "genealogy.material_id": Text("Material", "物料"),
    "genealogy.material_group": Text("Group", "物料组"),
    "genealogy.received_at": Text("Received", "到货时间"),
    "genealogy.quantity": Text("Quantity", "数量"),
    "genealogy.consumed_at": Text("Used", "投料时间"),
    "measurements": Text("Measurements against limits", "测量值与规格限"),
    "measurements.outside": Text(
        "{count} of {total} values lie outside their limits.", "{total} 个值中有 {count} 个超出规格限。"
    ),
    "measurements.inside": Text("All {total} values lie within their limits.", "全部 {total} 个值均在规格限内。"),
    "measurements.unlimited": Text("{total} values; none has limits.", "{total} 个值，均无规格限。"),
    "measurements.some": Text(
        "Drawn are the {count} characteristics nearest to or beyond their limits; the table has all {total}.",
        "图中为最接近或超出规格限的 {count} 个特性；表中列出全部 {total} 个。",
    ),
    "measurements.characteristic": Text("Characteristic", "特性"),
    "measurements.value": Text("Value", "测量值"),
    "measurements.limits": Text("Limits", "规格限"),
    "measurements.within": Text("Within", "合格"),
    "measurements.sample": Text("Sample", "样品"),
    "measurements.measured_at": Text("Measured", "测量时间"),
    "returns": Text("What came back", "退货"),
    "returns.occurred_at": Text("Failed", "失效时间"),
    "returns.reported_at": Text("Reported", "报告时间"),
    "returns.failure_mode": Text("Failure", "失效模式"),
    "returns.severity": Text("Severity", "严重度"),
    "returns.description": Text("Description", "描述"),
    "shipments": Text("Shipments", "发货"),
    "shipments.shipment_id": Text("Shipment", "发货单"),
    "returns.return_id": Text("Return", "退货单"),
    "dispositions": Text("Dispositions", "处置"),
    "dispositions.decided_at": Text("Decided", "处置时间"),
    "dispositions.action": Text("Action", "措施"),
    "dispositions.found": Text("Fault found", "发现缺陷"),
    "outcomes": Text("Outcome", "结果"),
    "outcomes.failed": Text("Failed", "失效"),
    "outcomes.known_at": Text("Known", "得知时间"),
    "not_scored": Text("This lot has no score.", "本批没有评分。"),
    # Check a lot
    "check.title": Text("Check a lot", "查批次"),
    "check.label": Text("Lot id: scan or type, then Enter", "扫描或输入批号，然后回车"),
    "check.button": Text("Check", "查询"),
    "check.start": Text("The answer appears here.", "结果显示在这里。"),
    "check.more": Text("All about this lot", "查看本批详情"),
    # Warnings, by code; the API's own detail stands behind
    "warning.no_champion": Text("No model is in use; the risk is a trailing rate", "尚无在用模型，风险为历史失效率"),
    "warning.trained_later": Text("The model was trained after this moment", "模型的训练时间晚于此时刻"),
    "warning.past_judgement": Text("The lot's moment of judgement has passed", "已过本批的判定时刻"),
    "warning.below_min_units": Text("Too few units are at risk", "在用数量太少"),
    "warning.missing_table": Text("A table that the model knows is missing", "缺少模型所用的数据表"),
    "warning.missing_history": Text("Nothing of this lot is known in a table", "某数据表中没有本批的记录"),
    "warning.stale_table": Text("A table has had no news for long", "某数据表长时间没有更新"),
    "warning.unseen_category": Text("A value that the model has not seen", "出现模型未见过的取值"),
    "warning.impossible_value": Text("A value that cannot be", "出现不可能的数值"),
    "warning.measured_after_as_of": Text("Measured after this moment, so not used", "测量晚于此时刻，未采用"),
    "warning.consumed_after_as_of": Text("Consumed after this moment, so not used", "投料晚于此时刻，未采用"),
    "warning.unknown_name": Text("A name that stands in no table", "出现各表中都没有的名称"),
    "warning.unlike_any_seen": Text("Unlike any lot the model has seen", "与模型见过的批次都不相似"),
    "warning.released_to_learn": Text("Released by chance, to learn what becomes of such lots", "为积累数据随机放行"),
    "warning.missing_attribute": Text("An attribute that the model uses was not sent", "缺少模型所用的属性"),
    "warning.not_logged": Text("This score could not be logged", "此评分未能记录"),
    "warning.unknown_lot": Text("This lot is not known", "未知批次"),
}


def speaker(language: str) -> Callable[..., str]:
    """Says a key of WORDS in `language`, with the values named in it; KeyError for a key that does not exist.

    With `otherwise`, that is said for a key that does not exist: codes and names that come with the data.
    """

    def say(key: str, *, otherwise: str | None = None, **values: object) -> str:
        if otherwise is not None and key not in WORDS:
            return otherwise
        return in_language(WORDS[key], language).format(**values)

    return say
