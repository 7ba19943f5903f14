"""The words of the Containment page, in English and Chinese."""

from features.dictionary_words import Text

CONTAINMENT_WORDS = {
    "nav.containment": Text("Containment", "围堵"),
    "contain.title": Text("Containment", "围堵"),
    "contain.ask": Text("What is at fault", "查询问题来源"),
    "contain.supplier_lot": Text("Supplier lot", "来料批"),
    "contain.return": Text("or a return", "或退货单"),
    "contain.aside": Text("suspects", "可疑批次"),
    "contain.find": Text("Find suspects", "查找可疑批次"),
    "contain.start": Text(
        "Name a supplier lot, or a return to start from: every lot that it went into or may have gone into is listed "
        "here, and where its units are.",
        "输入来料批或退货单：这里会列出所有用过或可能用过该来料的批次，以及产品现在何处。",
    ),
    "contain.of_supplier_lot": Text("Suspects of supplier lot", "可疑批次，来料批"),
    "contain.of_return": Text("Suspects from return", "可疑批次，退货单"),
    "contain.of_lot": Text("of lot {lot}", "批次 {lot}"),
    "contain.counts": Text(
        "{lots} lots, {contained} of them contained · as of {time}", "共 {lots} 批，已围堵 {contained} 批 · 截至 {time}"
    ),
    "contain.counts.one": Text("1 lot · as of {time}", "共 1 批 · 截至 {time}"),
    "contain.none": Text("No lot is suspect.", "没有可疑批次。"),
    "contain.json": Text("The whole list as JSON", "完整清单（JSON）"),
    "contain.some": Text(
        "Shown are the {shown} riskiest of {all}; the list as JSON has them all.",
        "仅显示风险最高的 {shown} 批，共 {all} 批；完整清单见 JSON。",
    ),
    "contain.not_scored": Text(
        "{count} lots are not scored: there are too many to score while you wait.",
        "{count} 批未评分：数量太多，无法即时评分。",
    ),
    "contain.followed": Text("Followed supplier lots", "追踪的来料批"),
    "contain.consumed": Text("Accounted for", "已投料"),
    "contain.used_up": Text("Used up", "用完时间"),
    "contain.lots_named": Text("Lots that use it", "使用批次"),
    "contain.lots_doubted": Text("Not excluded", "不能排除"),
    # Places
    "place.shipped": Text("Shipped", "已发货"),
    "place.returned": Text("Returned", "已退回"),
    "place.in_house": Text("In the house", "在厂内"),
    "place.nowhere": Text("No units known", "无数量记录"),
    "place.lots": Text("{lots} lots, {units} units", "{lots} 批，{units} 件"),
    "place.lots.one": Text("1 lot, {units} units", "1 批，{units} 件"),
    "place.to": Text("Customer", "客户"),
    "place.units": Text("Units there", "件数"),
    "place.shipped.at": Text("Shipped", "发货时间"),
    "place.returned.at": Text("Reported", "报告时间"),
    # Why a lot is suspect
    "suspect.why": Text("Why", "原因"),
    "suspect.returned": Text("came back", "退货批次"),
    "suspect.uses": Text("uses it", "使用了该批"),
    "suspect.shares": Text("shares {what}", "同用 {what}"),
    "suspect.cannot_exclude": Text("cannot be excluded: {what}", "不能排除：{what}"),
    "suspect.withdrawn": Text("said so once, withdrawn: {what}", "曾登记，后撤销：{what}"),
    "suspect.contained": Text("Contained", "围堵"),
    "suspect.held": Text("contained", "已围堵"),
    "suspect.free": Text("not contained", "未围堵"),
    "suspect.unsure": Text("not known now", "暂无法得知"),
    # The boundary
    "boundary.complete": Text("The list is complete", "清单完整"),
    "boundary.open": Text("The list cannot be closed", "清单无法封闭"),
    "boundary.spans": Text(
        "Lots produced from {start} to {end} that do not say what they took are on it.",
        "生产时间在 {start} 至 {end} 之间且追溯不全的批次均已列入。",
    ),
    "boundary.spans.end": Text(
        "Lots produced up to {end} that do not say what they took are on it.",
        "生产时间不晚于 {end} 且追溯不全的批次均已列入。",
    ),
    "boundary.reason.used_up": Text(
        "All {quantity} of {supplier_lot} are accounted for; the last was used at {until}. No lot produced later can "
        "hold any.",
        "{supplier_lot} 的 {quantity} 已全部核销，最后一次投料在 {until}；此后生产的批次不可能含有该批。",
    ),
    "boundary.reason.unaccounted": Text(
        "{left} of the {quantity} received of {supplier_lot} are accounted for nowhere: every later lot that does not "
        "say what it took may hold some.",
        "{supplier_lot} 共到货 {quantity}，其中 {left} 去向不明：之后追溯不全的批次都可能含有该批。",
    ),
    "boundary.reason.quantity_unknown": Text(
        "Nobody knows how much of {supplier_lot} was received, so that nothing says when it was used up.",
        "{supplier_lot} 的到货数量未知，无法判断何时用完。",
    ),
    "boundary.reason.consumption_unknown": Text(
        "{rows} genealogy rows do not say how much of {supplier_lot} they took, so that nothing says when it was used "
        "up.",
        "有 {rows} 条追溯记录没有写明 {supplier_lot} 的用量，无法判断何时用完。",
    ),
    "boundary.reason.no_record": Text(
        "No table holds the receipt of {supplier_lot}: its material, and since when it is there, are not known. Every "
        "lot with a gap in its genealogy may hold some.",
        "各表中没有 {supplier_lot} 的到货记录，物料和到货时间未知：凡追溯不全的批次都可能含有该批。",
    ),
    "boundary.reason.material_not_seen": Text(
        "No lot names any supplier lot of {material}: which products take it is not known, and lots that do not say "
        "so are not on this list.",
        "没有任何批次登记过 {material} 的来料批：哪些产品使用它未知，未登记的批次不在此清单中。",
    ),
    "boundary.reason.nothing_traced": Text(
        "The genealogy of lot {lot_id} names no supplier lot, so that nothing can be followed from it.",
        "批次 {lot_id} 没有登记任何来料批，无法继续追踪。",
    ),
    "boundary.reason.genealogy_incomplete": Text(
        "Lots of this product take {materials} too, of which lot {lot_id} names no supplier lot: what else went into "
        "it cannot be followed.",
        "同产品的批次还使用 {materials}，但批次 {lot_id} 没有登记其来料批：这部分无法追踪。",
    ),
    # Containments
    "contained.open": Text("Open containments", "进行中的围堵"),
    "contained.none": Text("Nothing is contained.", "目前没有围堵。"),
    "contained.closed": Text("Closed containments", "已结束的围堵"),
    "contained.number": Text("Containment {number}", "围堵 {number}"),
    "contained.supplier_lot": Text("supplier lot {name}", "来料批 {name}"),
    "contained.expected": Text("supplier lot {name}, not there when it was opened", "来料批 {name}（开启时尚未到货）"),
    "contained.return": Text("return {name}", "退货单 {name}"),
    "contained.lots": Text("{name} lots", "{name} 个批次"),
    "contained.lots.one": Text("lot {name}", "批次 {name}"),
    "contained.opened": Text("Opened {time} by {who}", "{time} 由 {who} 开启"),
    "contained.over": Text("Closed {time} by {who}", "{time} 由 {who} 结束"),
    "contained.held": Text(
        "holds {lots} lots, {inside} with units in the house", "围堵 {lots} 批，其中 {inside} 批在厂内有货"
    ),
    "contained.held.one": Text("holds 1 lot", "围堵 1 批"),
    "contained.unknown": Text("The containments cannot be read now", "暂时无法读取围堵记录"),
    "contain.open_this": Text("Contain these lots", "围堵这些批次"),
    "contain.expected": Text("Contain {name} before it comes", "在 {name} 到货前围堵"),
    "contain.expected.effect": Text(
        "No lot that takes it will ship, from the first moment that a row names it. Your name, the time and the reason "
        "are recorded.",
        "一旦有记录登记该来料批，使用它的批次都不能放行。操作人、时间和原因会被记录。",
    ),
    "contain.open_lots": Text("Contain lots by name", "按批号围堵"),
    "contain.lot_ids": Text("Lot ids, one a line", "批号，每行一个"),
    "contain.reason": Text("Reason", "原因"),
    "contain.effect": Text(
        "From then on the gate lets none of them ship until the containment is closed. Your name, the time and the "
        "reason are recorded.",
        "围堵后，这些批次在围堵结束前都不能通过放行关口。操作人、时间和原因会被记录。",
    ),
    "contain.open": Text("Open containment", "开启围堵"),
    "contain.close": Text("Close containment", "结束围堵"),
    "contain.refused": Text("Not done", "未执行"),
    "fault.invalid_request": Text(
        "Something is missing: name one supplier lot, return or list of lots, and give a reason.",
        "信息不完整：请指定一个来料批、退货单或批号清单，并填写原因。",
    ),
    "fault.unknown_supplier_lot": Text(
        "No table names this supplier lot. Check its spelling, or book it first.",
        "各表中没有这个来料批。请核对，或先登记。",
    ),
    "fault.unknown_return": Text("This return is not known. Check its spelling.", "没有这个退货单，请核对。"),
    "fault.unknown_lot": Text(
        "One of these lots stands in no table. Check the spelling.", "其中有批次不在任何表中，请核对批号。"
    ),
    "fault.containment_closed": Text("It was closed before.", "该围堵此前已结束。"),
    "fault.unknown_containment": Text("There is no such containment.", "没有这个围堵。"),
    "fault.not_recorded": Text(
        "It cannot be recorded now, so it was not done. Try again in a moment.",
        "暂时无法记录，因此未执行。请稍后再试。",
    ),
    "fault.not_allowed": Text(
        "This came from another page; try again from this one.", "请求来自其他页面，请在本页重试。"
    ),
    "fault.not_ready": Text("The service is not ready yet. Try again in a moment.", "服务尚未就绪，请稍后再试。"),
}
