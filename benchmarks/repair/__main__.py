"""Repair: ``python -m benchmarks.repair [--group faults|programs] [--half H] [--sample N] [--seed S] [--resume]``.

`fallline.improve` is given trainings with a known fault; what it hands back is trained with fresh seeds and held to the
healthy recipe or the known fix, beside a random search over the treatments that may train as often.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.clinic.programs import find_cases
from benchmarks.clinic.tables import halves
from benchmarks.repair.cases import Case, fault_cases, program_cases
from benchmarks.repair.figures import summary
from benchmarks.repair.judge import beside, repaired
from benchmarks.results_file import describe_machine, describe_versions

__all__ = ["main"]

RESULTS = Path(__file__).resolve().parents[1] / "results"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repair", description=(__doc__ or "").splitlines()[2])
    parser.add_argument("--group", default="both", choices=("faults", "programs", "both"))
    parser.add_argument("--half", choices=sorted(halves()), help="faults on the data sets of this half alone")
    parser.add_argument("--sample", type=int, default=0, help="so many cases, drawn at random (default: all)")
    parser.add_argument("--only", default="", help="cases whose name contains this, or one of these,by,commas")
    parser.add_argument("--skip", default="", help="without those whose name contains this, or one of these")
    parser.add_argument("--trainings", type=int, default=150, help="that one repair may take (default 150)")
    parser.add_argument("--seconds", type=float, help="that one repair may take (default: only trainings count)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="in all; the rest is left out")
    parser.add_argument("--seed", type=int, default=0, help="of rows, first weights, folds, draws and the order")
    parser.add_argument("--no-random", action="store_true", help="without the random search")
    parser.add_argument("--resume", action="store_true", help="go on where the result files end")
    parser.add_argument("--random-only", action="store_true", help="the random search for cases of the result files")
    parser.add_argument("--tell", action="store_true", help="print what happens in each improvement")
    parser.add_argument("--data", type=Path, help="folder of cases.json (else FALLLINE_CLINIC, else shared/clinic)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Repair the cases; return 0 whether or not the bars are reached, for a figure is a figure."""
    given = _parser().parse_args(arguments)
    end = time.monotonic() + 60 * given.minutes
    versions = describe_versions()  # of the code that is loaded, whatever is checked out later
    for group in ("faults", "programs") if given.group == "both" else (given.group,):
        cases = _cases(group, given)
        path = given.out / f"repair-{group}.json"
        there = json.loads(path.read_text()) if (given.resume or given.random_only) and path.exists() else {"cases": []}
        rows = there["cases"]
        known = {(row["what"], row["table"], row["seed"]): place for place, row in enumerate(rows)}
        if given.random_only:
            todo = [one for one in cases if (at := known.get(one.key)) is not None and "random" not in rows[at]]
        else:
            todo = [one for one in cases if one.key not in known]
        for place, case in enumerate(todo, 1):
            if time.monotonic() > end:
                print(f"the time is over: {len(todo) - place + 1} left out", file=sys.stderr)
                break
            if given.random_only:
                at = known[case.key]
                row = rows[at] = beside(case, rows[at]) | {"random_commit": versions.get("commit")}
            else:
                row = {"commit": versions.get("commit")} | repaired(
                    case, trainings=given.trainings, seconds=given.seconds, randomly=not given.no_random,
                    told=_tell if given.tell else None,
                )  # fmt: skip
                rows.append(row)
            print(f"{place}/{len(todo)} {json.dumps(row)}", file=sys.stderr, flush=True)
            most = max(len(cases), there.get("of", 0))  # --only and --skip take a part
            part = {"of": most, "half": given.half or "both"}
            part |= {"note": there["note"]} if "note" in there else {}
            _write(path, rows, {"versions": versions, **part})
        if rows:
            print(json.dumps(summary(rows), indent=1))
    return 0


def _tell(event: Any) -> None:
    print(f"[{event.seconds:.0f} s, {event.trainings}] {event.kind}: {event.text}", file=sys.stderr, flush=True)


def _cases(group: str, given: argparse.Namespace) -> list[Case]:
    if group == "faults":
        tables = halves().get(given.half)  # a repair is developed on the one half and measured on the other
        found = [case for case in fault_cases(given.seed) if tables is None or case.table in tables]
    else:
        described = find_cases(given.data)
        if isinstance(described, str):
            print(described)
            return []
        found = program_cases(described, given.seed)
    found = [case for case in found if _named(case, given.only)]
    if given.skip:
        found = [case for case in found if not _named(case, given.skip)]
    random.Random(given.seed).shuffle(found)  # what is left out is a random part
    return found[: given.sample] if given.sample else found


def _named(case: Case, parts: str) -> bool:
    return any(part in case.what for part in parts.split(","))


def _write(path: Path, rows: Sequence[dict[str, Any]], part: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"date": date, "machine": describe_machine(), **part, "figures": summary(rows)}
    lines = ",\n".join("  " + json.dumps(row) for row in rows)  # one trial a line
    new = path.with_suffix(".new")  # a file that is half written would lose what took hours
    new.write_text(f'{json.dumps(facts, indent=1).rstrip()[:-2]},\n "cases": [\n{lines}\n ]\n}}\n')
    new.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
