"""Two rules read off a module's source: importing it does nothing, and it compares no times."""

import ast
import re
from collections.abc import Iterator

ACTS = re.compile(
    r"""(?x) (?:^|\.)(?:
        environ | getenv
        | open | read_text | read_bytes | write_text | write_bytes | mkdir | touch | unlink | exists | iterdir | glob
        | cwd | urlopen | create_engine | connect | now | utcnow | today | basicConfig | dictConfig
        | (?:os|subprocess|requests|httpx2?)\.(?:get|post|run|Popen|system|listdir|makedirs)
        | time\.(?:time|time_ns|monotonic|perf_counter) | print
    )$"""
)
TIME = re.compile(r"(?:(?:\w+_)?at|when|now|as_of|known|superseded|(?:\w+_)?until|cut|moments?)$")
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
SAME_VALUES = {"max", "min", "item", "copy", "astype", "to_numpy", "to_pylist", "int", "float", "tolist", "asarray"}
ORDERING_CALLS = {"less", "less_equal", "greater", "greater_equal", "searchsorted", "between"}
ORDERING_TEXT = re.compile(r"(\w+)\s*(?:<|>)=?|(?:<|>)=?\s*@?(\w+)")


def done_on_import(source: str) -> list[str]:
    """What a module does while it is imported: files, network, clock, environment, logging, as `line: code`."""
    return [f"{node.lineno}: {ast.unparse(node)}" for node in _acting(ast.parse(source))]


def _acting(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call) and ACTS.search(ast.unparse(node.func)):
        yield node
        return
    if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in ("os.environ", "environ"):
        yield node
        return
    for child in _run_at_once(node):
        yield from _acting(child)


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """The children that run with the node: of a function its decorators and defaults, never its body."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from node.decorator_list
        yield node.args
    elif isinstance(node, ast.Lambda):
        yield node.args
    elif isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        yield from node.orelse
    else:
        yield from ast.iter_child_nodes(node)


def times_compared(source: str) -> list[str]:
    """Where a module orders times by itself, as `line: code`."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.expr) and _orders_times(node)]
    return [f"{node.lineno}: {ast.unparse(node)}" for node in found]


def _orders_times(node: ast.expr) -> bool:
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        return any(isinstance(op, ORDER) and (_is_time(left) or _is_time(right)) for left, op, right in pairs)
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        given = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        return (name in ORDERING_CALLS and any(map(_is_time, given))) or (
            name in ("query", "eval") and any(map(_orders_in_text, node.args))
        )
    return False


def _is_time(node: ast.expr) -> bool:
    match node:
        case ast.Name(name):
            return TIME.match(name) is not None
        case ast.Attribute(_, name):
            return name == "first" or TIME.match(name) is not None
        case ast.Subscript(_, ast.Constant(str(name))):
            return TIME.match(name) is not None
        case ast.Subscript(value, _):
            return _is_time(value)
        case ast.BinOp(left, ast.Add() | ast.Sub(), right):
            return _is_time(left) or _is_time(right)
        case ast.Call(ast.Attribute(value, name)) if name in SAME_VALUES:
            return any(map(_is_time, [value, *node.args]))
        case ast.Call(ast.Name(name)) if name in SAME_VALUES:
            return any(map(_is_time, node.args))
    return False


def _orders_in_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(str(text)):
            return any(TIME.match(name) for pair in ORDERING_TEXT.findall(text) for name in pair if name)
    return False
