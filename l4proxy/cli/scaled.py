"""The pools that are scaled, for the screen: the number, what it rests on, what was done last."""

from datetime import timedelta

from rich.table import Table
from rich.text import Text

from l4proxy.admin.scaling import ActuatorDocument, ForecastDocument, PoolScalingDocument


def scaling_table(pools: list[PoolScalingDocument]) -> Table:
    """Return some lines for each pool that is scaled."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for pool in pools:
        table.add_row(Text(f"scaling {pool['pool']}", "bold"), _numbers(pool))
        if pool["forecast"] is not None:
            table.add_row("  because", _why(pool))
            table.add_row("  forecast", _forecast(pool["forecast"]))
        table.add_row("  last change", _last(pool))
        table.add_row("  actuator", _actuator(pool["actuator"]))
    return table


def _numbers(pool: PoolScalingDocument) -> Text:
    if pool["desired"] is None:
        return Text("no round yet")
    told = f"{pool['desired']:,} wanted, {pool['current']:,} there: "
    there = (f"{count:,} {state}" for state, count in pool["states"].items() if count)
    free, parked = pool["free_sessions"], pool["parked"]
    slots = "" if free is None else f"; {free:,} slots free"
    waiting = f"; {parked:,} hellos wait" if parked else ""
    return Text(told + (", ".join(there) or "nobody") + slots + waiting)


def _forecast(found: ForecastDocument) -> Text:
    """Return the sessions to expect, by how much that is off, and in how long."""
    text = f"{found['expected']:,.0f} ± {found['error']:,.0f} sessions in {found['lead']:,.0f} s"
    return Text(f"{text}, panic", "red") if found["panic"] else Text(text)


def _why(pool: PoolScalingDocument) -> str:
    """Return the terms that add something, without their reasons: these stand in the JSON."""
    terms = (f"{term['name']} {term['backends']:+d}" for term in pool["terms"] if term["backends"])
    doubts = f"; {len(pool['doubts'])} doubts" if pool["doubts"] else ""
    return (", ".join(terms) or "-") + doubts


def _last(pool: PoolScalingDocument) -> str:
    if not pool["decisions"]:
        return "-"
    newest = pool["decisions"][0]
    return f"{', '.join(newest['did'])}, {timedelta(seconds=round(newest['age']))} ago"


def _actuator(found: ActuatorDocument) -> Text:
    if found["fault"] is None:
        return Text(found["name"])
    return Text(f"{found['name']}: {found['fault']}", "red")
