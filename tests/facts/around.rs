//! What is told of the latest connection while a run goes on is what the report says of it.

use crate::common::{assert_none, fixtures};
use reshake::model::Report;
use reshake_core::Limits;

#[test]
fn the_latest_connection_is_told_as_in_the_report() {
    let mut problems = Vec::new();
    let mut reasons = 0;
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let report = Report::of(&engine, captures.clone());
        let order: Vec<_> = report.connections().map(|(_, id, _)| id).collect();
        let Some((_, id, connection)) = report.connections().last() else {
            continue;
        };
        let around = Report::around(&engine, captures, &order, connection);
        let told = |report: &Report<'_>| {
            let reasons = report.reasons(id, connection).into_iter();
            let reasons: Vec<_> = reasons.map(|it| (it.reason.name, it.confidence, it.summary)).collect();
            let analyses = &report.analyses;
            (
                reasons,
                analyses.backend(id),
                analyses.domain(id),
                analyses.issued_under(connection),
            )
        };
        let (live, whole) = (told(&around), told(&report));
        reasons += live.0.len();
        if live != whole {
            problems.push(format!("{}: {live:?} is not {whole:?}", fixture.name));
        }
    }
    assert!(reasons > 150, "only {reasons} reasons were compared");
    assert_none("latest connections that are not told as in the report", &problems);
}
