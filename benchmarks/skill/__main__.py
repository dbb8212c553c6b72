"""Skill on real tables: ``python -m benchmarks.skill [--tables a,b] [--folds 0,1]``.

Every finished fold is appended to a JSON-lines file at once; started again, the finished ones are not fitted again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.results_file import describe_machine, describe_versions
from benchmarks.skill.contenders import CONTENDERS
from benchmarks.skill.protocol import CHECKOUT, Table, calibration, find_data, folds, read_peers, read_suite, score
from benchmarks.skill.ranking import PEERS, Standing, ahead, mean_ranks, standings

__all__ = ["main"]

RESULTS = Path(__file__).resolve().parents[1] / "results"
QUICK_TABLES, QUICK_FOLDS = 2, (0,)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skill", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of suite.json, tables and peers.csv (else FALLLINE_DATA)")
    parser.add_argument("--tables", default="", help="only these, separated by commas")
    parser.add_argument("--folds", default="", help="only these, separated by commas")
    parser.add_argument("--contender", default="fallline", choices=sorted(CONTENDERS), help="who is fitted")
    parser.add_argument("--label", default="", help="name of this set of figures (default: the contender's)")
    parser.add_argument("--out", type=Path, help=f"folder of the results (default {RESULTS.name}/)")
    parser.add_argument(
        "--quick", action="store_true", help="one fold of the smallest tables; keeps nothing unless --out"
    )
    parser.add_argument("--beside", default="", help="labels of other figures in the folder of results: more peers")
    parser.add_argument("--again", action="store_true", help="fit finished folds again")
    parser.add_argument("--only-report", action="store_true", help="fit nothing, report what is finished")
    return parser


def _read_finished(path: Path) -> list[dict[str, Any]]:
    """The finished folds; where a fold stands twice, the later line counts. A torn last line is dropped."""
    if not path.exists():
        return []
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[row["dataset"], row["fold"]] = row
    return list(found.values())


def _append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one line; a torn last line of a killed run is closed first, or it would swallow this one."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(row).encode() + b"\n")


def fit_fold(table: Table, fold: int, contender: str, x: Any, y: Any, train: Any, test: Any) -> dict[str, Any]:
    """Fit on the training rows, score on the others; a failure is a row with an ``error``."""
    row: dict[str, Any] = {
        "dataset": table.name,
        "peer": contender,
        "fold": fold,
        "task": table.task,
        "n_train": len(train),
        "n_test": len(test),
    }
    try:
        model = CONTENDERS[contender](table.task)
        start = time.perf_counter()
        model.fit(x.iloc[train], y[train])
        fitted = time.perf_counter()
        regression = table.task == "regression"
        prediction = model.predict(x.iloc[test]) if regression else model.predict_proba(x.iloc[test])
        done = time.perf_counter()
        row |= score(table.task, y[test], prediction, None if regression else model.classes_)
        row |= {"fit_s": round(fitted - start, 3), "pred_s": round(done - fitted, 4)}
    except Exception as error:  # noqa: BLE001  one fold that fails must not end a run of an hour
        row["error"] = f"{type(error).__name__}: {error}"
    return row


def _finished_peers(out: Path | None, labels: str) -> list[dict[str, Any]]:
    """Figures of other contenders in the folder of results, under their labels."""
    if out is None:
        return []
    return [
        row | {"peer": label}
        for label in labels.split(",")
        if label
        for row in _read_finished(out / f"skill-{label}.jsonl")
        if "error" not in row
    ]


def check_sizes(rows: Iterable[Mapping[str, Any]], peers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Sentences about folds whose sizes differ from the peers': they would not be comparable."""
    sizes = {(p["dataset"], p["fold"]): (p["n_train"], p["n_test"]) for p in peers}
    found = []
    for row in rows:
        ours = row["n_train"], row["n_test"]
        theirs = sizes.get((row["dataset"], row["fold"]), ours)
        if ours != theirs:
            rows_of_both = f"{ours[0]} + {ours[1]} rows, the peers had {theirs[0]} + {theirs[1]}"
            found.append(f"{row['dataset']} fold {row['fold']}: {rows_of_both}")
    return found


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _fit(
    tables: Sequence[Table], wanted: Sequence[int], given: argparse.Namespace, file: Path | None
) -> list[dict[str, Any]]:
    finished = _read_finished(file) if file else []
    keys = set() if given.again else {(row["dataset"], row["fold"]) for row in finished if "error" not in row}
    commit = _commit()
    fresh = []
    for table in tables:
        x, y = table.read()
        for fold, train, test in folds(table, y):
            if (wanted and fold not in wanted) or (table.name, fold) in keys:
                continue
            row = fit_fold(table, fold, given.contender, x, y, train, test)
            row |= {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit}
            fresh.append(row)
            shown = row.get("error") or f"{table.metric} {row[table.metric]:.4g}, fit {row['fit_s']:.1f} s"
            print(f"{table.name} fold {fold}: {shown}", file=sys.stderr, flush=True)
            if file:
                _append(file, row)
    latest = {(row["dataset"], row["fold"]): row for row in [*finished, *fresh]}
    return list(latest.values())


def _table_text(found: Sequence[Standing], who: str, seconds: Mapping[str, float]) -> str:
    names = [name for name in mean_ranks(found) if name != who]
    shown = [who, *names]
    lines = [f"{'':20} {'metric':9}" + "".join(f"{name[:13]:>15}" for name in shown) + f"{'fit s':>8}"]
    for standing in found:
        cells = "".join(
            f"{standing.values[name]:>10.4g} ({standing.ranks[name]:g})" if name in standing.values else f"{'-':>14}"
            for name in shown
        )
        lines.append(f"{standing.table:20} {standing.metric:9} {cells}{seconds[standing.table]:>8.1f}")
    return "\n".join(lines)


def summarise(
    tables: Sequence[Table], rows: Sequence[Mapping[str, Any]], peers: Sequence[Mapping[str, Any]], who: str
) -> tuple[str, dict[str, Any]]:
    """Return the report as text and as plain values."""
    good = [dict(row) | {"peer": who} for row in rows if "error" not in row]
    everything = [*(peer for peer in peers if peer["peer"] != who), *good]
    seconds: dict[str, float] = {}
    for row in good:
        seconds[row["dataset"]] = seconds.get(row["dataset"], 0.0) + row["fit_s"]
    names = [name for name in (*PEERS, "dummy") if name != who]
    chosen = {table.name for table in calibration(tables)}
    groups = {
        "bar": tables,
        "calibration": [table for table in tables if table.name in chosen],
        "held out": [table for table in tables if table.name not in chosen],
    }
    text: list[str] = []
    plain: dict[str, dict[str, Any]] = {}
    widest = standings(tables, everything, who, names)
    if widest:
        text.append(_table_text(widest, who, seconds))
    for group, those in groups.items():
        for metric in ("", "accuracy", "auc", "r2") if group == "bar" else ("", "accuracy"):
            found = standings(those, everything, who, [name for name in PEERS if name != who], metric)
            title = ", ".join(filter(None, [group if group != "bar" or not metric else "", metric]))
            plain[title] = {name: {"mean_rank": rank, "tables": n} for name, (rank, n) in mean_ranks(found).items()}
            if found:
                text.append(f"mean rank, {title}{'' if metric else ' (log-loss / RMSE)'}: " + _ranks_text(plain[title]))
    for title, metric in (("ahead_of", ""), ("ahead_of, accuracy", "accuracy")):
        compared = {peer: ahead(standings(tables, everything, who, (peer,), metric), who, peer) for peer in names}
        plain[title] = {peer: found for peer, found in compared.items() if found}
        pairwise = (f"{peer} {one['tables']}/{one['of']} (p {one['p']:.2g})" for peer, one in plain[title].items())
        if plain[title]:
            text.append(f"{who} {title.replace('_', ' ')}: " + ", ".join(pairwise))
    text.append(f"{len(good)} folds of {len(seconds)} tables, fitted in {sum(seconds.values()):.0f} s")
    failures = [f"FAILED {row['dataset']} fold {row['fold']}: {row['error']}" for row in rows if "error" in row]
    return "\n".join([*text, *failures]), {
        "mean_ranks": plain,
        "tables": [asdict(standing) for standing in widest],
        "fit_seconds": seconds,
        "failed": failures,
    }


def _ranks_text(ranks: Mapping[str, Mapping[str, float]]) -> str:
    return ", ".join(f"{name} {entry['mean_rank']:.2f}" for name, entry in ranks.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what is not finished, report all that is; return 1 when a fold failed."""
    parser = _parser()
    given = parser.parse_args(arguments)
    folder = find_data(given.data)
    if folder is None:
        print("skill: skipped: no suite.json found. Give the folder of the tables with --data or FALLLINE_DATA.")
        return 0
    tables = read_suite(folder)
    names = [name for name in given.tables.split(",") if name]
    unknown = sorted(set(names) - {table.name for table in tables})
    if unknown:
        parser.error(f"no such table: {', '.join(unknown)}. There are: {', '.join(table.name for table in tables)}.")
    chosen = [table for table in tables if not names or table.name in names]
    wanted = [int(fold) for fold in given.folds.split(",") if fold]
    if given.quick:
        chosen, wanted = (chosen if names else chosen[:QUICK_TABLES]), wanted or list(QUICK_FOLDS)
    who = given.label or given.contender
    out = given.out or (None if given.quick else RESULTS)
    if out:
        out.mkdir(parents=True, exist_ok=True)
    file = out / f"skill-{who}.jsonl" if out else None
    machine = describe_machine()
    rows = _fit([] if given.only_report else chosen, wanted, given, file)
    peers = [*read_peers(folder), *_finished_peers(out, given.beside)]
    different = check_sizes(rows, peers)
    if different:
        print("These folds are not the peers' folds:\n  " + "\n  ".join(different))
        return 1
    text, plain = summarise(tables, rows, peers, who)
    print(text)
    if out:
        found = {
            "work": "skill",
            "label": who,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": "cpu",
            "machine": machine,
            "versions": describe_versions(),
            **plain,
        }
        path = out / f"skill-{who}-cpu.json"
        path.write_text(json.dumps(found, indent=1) + "\n")
        print(f"written: {path}")
    return int(any("error" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
