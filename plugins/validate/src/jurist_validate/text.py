"""The report as text for people: percent, with 95% intervals in brackets."""

from __future__ import annotations

from textwrap import wrap

from jurist.intervals import Estimate
from jurist_validate.report import Measures, Report
from jurist_validate.table import NOTHING, number, percent, shortened, table

WIDTH = 100
SHOWN_TAGS = 5

Rows = dict[str, Measures]


def text_of(report: Report) -> str:
    """The whole report, at most 100 columns wide."""
    rows = {each.name + _mark(each.folds): each.overall for each in report.raters if each.overall}
    parts = [
        _head(report),
        _accuracy(rows),
        _reliability(rows),
        _agreement(rows),
        _tags(report),
        _coverage(rows),
        _foot(report),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _mark(folds: int | None) -> str:
    return "*" if folds else ""


def _head(report: Report) -> list[str]:
    labels = ", ".join(f"{count} {label}" for label, count in report.labels.items() if count)
    kinds = [each.kind for each in report.raters]
    return [
        f"{report.items} items ({labels}), {kinds.count('judge')} judges, "
        f"{kinds.count('aggregator')} aggregators. In percent, with 95% intervals.",
        *wrap(f"{report.recommendation.upper()}: {report.reason}", WIDTH),
    ]


def _accuracy(rows: Rows) -> list[str]:
    columns = ["sides right", "right in both", "mean of orders", "sum > 0", "ties dropped"]
    return table(
        "accuracy",
        columns,
        {
            name: [
                percent(found.labels.accuracy),
                percent(found.agreement.right_in_both),
                percent(found.agreement.mean_of_orders),
                percent(found.agreement.sum_of_verdicts),
                percent(found.agreement.ties_dropped),
            ]
            for name, found in rows.items()
        },
    )


def _reliability(rows: Rows) -> list[str]:
    columns = ["coverage", "abstained", "failed", "same slot", "of these first"]
    return table(
        "reliability",
        columns,
        {
            name: [
                percent(found.labels.coverage),
                percent(found.absences.abstained),
                percent(found.absences.failed),
                percent(found.position.same_slot),
                _first(found),
            ]
            for name, found in rows.items()
        },
    )


def _first(found: Measures) -> str:
    p = found.position.p_value
    if p is None:
        return NOTHING
    return f"{percent(found.position.same_slot_first)} {_p(p)}"


def _points(found: Estimate) -> str:
    return f"{100 * found.mean:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}] points"


def _p(value: float) -> str:
    return "p<0.001" if value < 0.001 else f"p={value:.3f}"


def _agreement(rows: Rows) -> list[str]:
    columns = ["Cohen's kappa", "ECE", "longer: chosen", "labelled", "repeated", "USD/right"]
    return table(
        "bias and more",
        columns,
        {
            name: [
                number(found.kappa.cohen),
                number(found.calibration.ece if found.calibration else None),
                percent(found.length.longer_chosen if found.length else None),
                percent(found.length.longer_labelled if found.length else None, interval=False),
                percent(found.self_consistency),
                f"{cost.mean:.2g}" if (cost := found.usd_per_right_label) else NOTHING,
            ]
            for name, found in rows.items()
        },
    )


def _tags(report: Report) -> list[str]:
    tags = sorted(report.tags, key=lambda tag: -report.tags[tag])[:SHOWN_TAGS]
    if not tags:
        return []
    rows = {
        each.name + _mark(each.folds): [
            percent(each.by_tag[tag].agreement.mean_of_orders) if tag in each.by_tag else NOTHING
            for tag in tags
        ]
        for each in report.raters
        if each.overall
    }
    return table("mean of orders", [shortened(tag, 13).rstrip() for tag in tags], rows)


def _coverage(rows: Rows) -> list[str]:
    found = {name: measures.coverage for name, measures in rows.items() if measures.coverage}
    if not found:
        return []
    targets = [f"{100 * point.coverage:.0f}%" for point in next(iter(found.values()))]
    return table(
        "most confident",
        targets,
        {name: [percent(point.accuracy) for point in points] for name, points in found.items()},
    )


def _foot(report: Report) -> list[str]:
    lines = []
    if report.jury:
        lines.append(
            f"{len(report.jury.judges)} judges among themselves: Krippendorff's alpha "
            f"{number(report.jury.alpha)}, Fleiss' kappa {number(report.jury.fleiss)}"
        )
    if report.best_judge:
        lines.append(f"Best single judge by the mean of orders: {report.best_judge}")
    lines += [
        f"{found.rater} minus {found.other}, on items both give a side: {_points(found.difference)}"
        + (f", {_p(found.p_value)}" if found.p_value is not None else "")
        for found in report.contests
        if found.difference
    ]
    lines += [f"Not measured: {each.name}: {each.problem}" for each in report.raters if each.problem]
    if any(each.folds for each in report.raters):
        lines.append("* fitted in folds, each item measured by a fit without it")
    return [part for line in lines for part in wrap(line, WIDTH, subsequent_indent="  ")]
