"""The paper's own spelling of a policy, dialect `paper/0`: in and out.

Source: MSR-ViR, Figures 2 and 3 and Table 6. The nested form is theirs; the variants that are taken beside it follow
from the signatures of the modules.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from videre.errors import DataError
from videre.types import JSON

if TYPE_CHECKING:
    from videre.methods.msr_vir.policy import Node, Policy

PLACEHOLDERS = {"video", "video_path", "frame", "frames"}
ROOTS = ("temporal_localizer", "spatial_localizer")


def is_paper(data: Mapping[str, JSON]) -> bool:
    """Whether an object is spelled as in the paper."""
    return any(root in data for root in ROOTS)


def translated(data: Mapping[str, JSON]) -> dict[str, JSON]:
    """The same policy in our language, not validated yet.

    Raises:
        DataError: an unknown module, or one with the wrong parameters; the message names the place.
    """
    extra = sorted(set(data) - set(ROOTS))
    if extra:
        raise _bad("root", f"unknown key {extra[0]!r}")
    temporal = _roots(data.get(ROOTS[0]), "temporal_truncate", ROOTS[0])
    spatial = _roots(data.get(ROOTS[1]), "spatial_truncate", ROOTS[1])
    if len(temporal) > 1:
        raise _bad(ROOTS[0], "temporal_truncate takes one expression")
    policy: dict[str, JSON] = {"version": "msrvir.policy/1", "spatial": [_node(n, ROOTS[1]) for n in spatial]}
    return policy | {"temporal": _node(temporal[0], ROOTS[0]) if temporal else {"op": "whole"}}


def exported(policy: "Policy") -> dict[str, JSON]:
    """The policy in the paper's spelling.

    Raises:
        DataError: it uses an operator that the paper does not have; the message names it (code "not_paper").
    """
    whole = policy.temporal.op == "whole"
    temporal = [] if whole else [_export(policy.temporal)]
    return {
        ROOTS[0]: {"module": "temporal_truncate", "params": temporal},
        ROOTS[1]: {"module": "spatial_truncate", "params": [_export(node) for node in policy.spatial]},
    }


def _roots(node: JSON, module: str, place: str) -> list[JSON]:
    if not node:
        return []
    if not isinstance(node, Mapping) or node.get("module") != module:
        raise _bad(place, f"expected the module {module}")
    return _params(node, place, None)


def _node(node: JSON, place: str) -> dict[str, JSON]:
    if not isinstance(node, Mapping):
        raise _bad(place, f"expected a module, got {node!r:.60}")
    module = node.get("module")
    here = f"{place}.{module}"
    if module in ("detect_act", "locate_obj"):
        (query,) = _params(node, here, 1)
        return {"op": "detect" if module == "detect_act" else "locate", "query": query}
    if module in ("temporal_localize", "spatial_localize"):
        relation, of = _params(node, here, 2)
        op = "relate" if module == "temporal_localize" else "relate_box"
        return {"op": op, "relation": relation, "of": _node(of, here)}
    if module == "temporal_between":
        a, b = _params(node, here, 2)
        return {"op": "between", "a": _node(a, here), "b": _node(b, here)}
    raise _bad(place, f"unknown module {module!r:.60}")


def _params(node: Mapping[str, JSON], place: str, count: int | None) -> list[JSON]:
    params = node.get("params", [])
    if set(node) - {"module", "params"} or not isinstance(params, list):
        raise _bad(place, "a module has the keys module and params, a list")
    is_led = bool(params) and isinstance(params[0], str) and params[0] in PLACEHOLDERS
    if is_led and (count is None or len(params) > count):
        params = params[1:]
    if count is not None and len(params) != count:
        raise _bad(place, f"{count} parameters, got {len(params)}")
    return params


def _export(node: "Node") -> dict[str, JSON]:
    told: Any = node
    plain = {"detect": "detect_act", "locate": "locate_obj"}
    if told.op in plain:
        return {"module": plain[told.op], "params": [told.query]}
    if told.op == "relate" and told.window == "same":
        return {"module": "temporal_localize", "params": [told.relation, _export(told.of)]}
    if told.op == "relate_box":
        return {"module": "spatial_localize", "params": [told.relation, _export(told.of)]}
    if told.op == "between" and told.mode == "hull":
        return {"module": "temporal_between", "params": [_export(told.a), _export(told.b)]}
    setting = getattr(told, "window", None) or getattr(told, "mode", "")
    name = f"{told.op} {setting}".strip()
    raise DataError(f"policy: {name!r} has no equal in the dialect paper/0", code="not_paper")


def _bad(place: str, why: str) -> DataError:
    return DataError(f"policy: {place}: {why}", code="bad_policy")
