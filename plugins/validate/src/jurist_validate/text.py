"""The report as text for people: percent, with 95% intervals in brackets."""

from __future__ import annotations

from textwrap import wrap

from jurist.intervals import Estimate
from jurist_validate.report import Measures, RaterReport, Report
from jurist_validate.table import NAME_WIDTH, NOTHING, number, share, shortened, table

WIDTH = 100
SHOWN_TAGS = 5
SHOWN_COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)
COLUMNS = 'What the columns mean: docs/validation.md, "The text"'

Rows = dict[str, Measures]


def text_of(report: Report) -> str:
    """The whole report, at most 100 columns wide."""
    names = _names(report)
    rows = {name: each.overall for name, each in zip(names, report.raters, strict=True) if each.overall}
    parts = [
        _head(report),
        _accuracy(rows),
        _reliability(rows),
        _bias(rows),
        _more(rows),
        _tags(report, names),
        _coverage(rows),
        _foot(report, names),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _names(report: Report) -> list[str]:
    """What each rater is called in the tables: a name that is too long, or stands twice, has a number."""
    whole = [each.name + _mark(each) for each in report.raters]
    names: list[str] = []
    for name in whole:
        if len(name) > NAME_WIDTH or whole.count(name) > 1:
            number = f"({sum(each.startswith('(') for each in names) + 1}) "
            name = number + shortened(name, NAME_WIDTH - len(number)).rstrip()
        names.append(name)
    return names


def _mark(rater: RaterReport) -> str:
    return ("*" if rater.folds else "") + ("†" if rater.saved else "")


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
                share(found.labels.accuracy),
                share(found.agreement.right_in_both),
                share(found.agreement.mean_of_orders),
                share(found.agreement.sum_of_verdicts),
                share(found.agreement.ties_dropped),
            ]
            for name, found in rows.items()
        },
    )


def _reliability(rows: Rows) -> list[str]:
    columns = ["coverage", "abstained/undecided", "failed", "tied"]
    return table(
        "reliability",
        columns,
        {
            name: [
                share(found.labels.coverage),
                share(found.absences.abstained),
                share(found.absences.failed),
                share(found.absences.tied),
            ]
            for name, found in rows.items()
        },
    )


def _bias(rows: Rows) -> list[str]:
    columns = ["same slot", "of these first", "longer: chosen", "longer: labelled"]
    return table(
        "bias",
        columns,
        {
            name: [
                share(found.position.same_slot),
                _first(found),
                share(found.length.longer_chosen if found.length else None),
                share(found.length.longer_labelled if found.length else None),
            ]
            for name, found in rows.items()
        },
    )


def _first(found: Measures) -> str:
    p = found.position.p_value
    if p is None:
        return NOTHING
    return f"{share(found.position.same_slot_first)} {_p(p)}"


def _seen(rater: RaterReport, items: int) -> str:
    if rater.seen is None:
        return "; which items it learnt from is not known"
    return f"; it learnt from the prompts of {rater.seen} of these {items} items"


def _points(found: Estimate) -> str:
    return f"{100 * found.mean:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}] points"


def _p(value: float) -> str:
    return "p<0.001" if value < 0.001 else f"p={value:.3f}"


def _more(rows: Rows) -> list[str]:
    columns = ["Cohen's kappa", "ECE", "repeated", "USD/right"]
    return table(
        "more",
        columns,
        {
            name: [
                number(found.kappa.cohen),
                number(found.calibration.ece if found.calibration else None),
                share(found.self_consistency),
                f"{cost.mean:.2g}" if (cost := found.usd_per_right_label) else NOTHING,
            ]
            for name, found in rows.items()
        },
    )


def _tags(report: Report, names: list[str]) -> list[str]:
    tags = sorted(report.tags, key=lambda tag: -report.tags[tag])[:SHOWN_TAGS]
    if not tags:
        return []
    rows = {
        name: [
            share(each.by_tag[tag].agreement.mean_of_orders) if tag in each.by_tag else NOTHING
            for tag in tags
        ]
        for name, each in zip(names, report.raters, strict=True)
        if each.overall
    }
    return table("mean of orders", [shortened(tag, 13).rstrip() for tag in tags], rows)


def _coverage(rows: Rows) -> list[str]:
    found = {
        name: [point for point in measures.coverage if point.coverage in SHOWN_COVERAGES]
        for name, measures in rows.items()
        if measures.coverage
    }
    if not found:
        return []
    targets = [f"{100 * point.coverage:.0f}%" for point in next(iter(found.values()))]
    return table(
        "most confident",
        targets,
        {name: [share(point.accuracy) for point in points] for name, points in found.items()},
    )


def _foot(report: Report, names: list[str]) -> list[str]:
    lines = [
        f"{name.split()[0]} {each.kind} {each.name}"
        for name, each in zip(names, report.raters, strict=True)
        if name != each.name + _mark(each)
    ]
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
    lines += [f"* cross-validated in {n} folds" for n in sorted({r.folds for r in report.raters if r.folds})]
    lines += [f"† {each.name}: as saved{_seen(each, report.items)}" for each in report.raters if each.saved]
    lines.append(COLUMNS)
    return [part for line in lines for part in wrap(line, WIDTH, subsequent_indent="  ")]
