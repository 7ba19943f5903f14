"""Why a list of suspects ends where it does, or does not end: a sentence for each code."""

from features.card import iso
from features.suspects import Reason

_SAYS = {
    "used_up": "All {quantity:g} of {supplier_lot} are accounted for; the last was used at {until}, so that no lot "
    "produced later can hold any.",
    "unaccounted": "{left:g} of the {quantity:g} received of {supplier_lot} are accounted for nowhere, so that every "
    "later lot that does not say what it took may hold some.",
    "quantity_unknown": "Nobody knows how much of {supplier_lot} was received, so that nothing says when it was used "
    "up.",
    "consumption_unknown": "{rows} genealogy rows do not say how much of {supplier_lot} they took, so that nothing "
    "says when it was used up.",
    "no_record": "No table holds the receipt of {supplier_lot}: of what material it is, and since when it is there, is "
    "not known; every lot with a gap in its genealogy may hold some.",
    "material_not_seen": "No lot names any supplier lot of {material}: which products take it is not known, and lots "
    "that do not say so are not on this list.",
    "nothing_traced": "The genealogy of lot {lot_id} names no supplier lot, so that nothing can be followed from it.",
    "genealogy_incomplete": "Lots of this product take {materials} too, of which lot {lot_id} names no supplier lot: "
    "what else went into it cannot be followed.",
}


def detail_of(reason: Reason) -> str:
    """The sentence."""
    values = {name: iso(value) if name == "until" else value for name, value in reason.values.items()}
    return _SAYS[reason.code].format(**values)
