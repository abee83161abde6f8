//! What is told of the latest connection while a run goes on is what the report says of it.

use crate::common::{assert_none, fixtures};
use reshake::model::Report;
use reshake::model::live::{Related, Surroundings};
use reshake_core::Limits;
use reshake_core::diagnosis::judge::needs_reason;
use reshake_core::session::Service;

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
        let about = (Service::of(connection), needs_reason(connection));
        let around = Report::around(&engine, captures, &order, about);
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

/// Connections of a capture that are looked at all together by a live run.
const FEW: usize = 32;

#[test]
fn connections_that_are_told_together_are_told_as_in_the_report() {
    let mut problems = Vec::new();
    let mut reasons = 0;
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let report = Report::of(&engine, captures.clone());
        let ids: Vec<_> = report.connections().map(|(_, id, _)| id).collect();
        if ids.len() > FEW {
            continue;
        }
        let mut related = Related::default();
        for (_, id, connection) in report.connections() {
            related.note(id, connection, engine.connection_store());
        }
        let together = Surroundings::of(&engine, captures.first(), &related, &ids);
        for (number, id, connection) in report.connections() {
            let told = |report: &Report<'_>| {
                let reasons = report.reasons(id, connection).into_iter();
                reasons
                    .map(|it| (it.reason.name, it.confidence, it.summary))
                    .collect::<Vec<_>>()
            };
            let (live, whole) = (together.about(connection).map(told), told(&report));
            reasons += whole.len();
            if live.as_ref() != Some(&whole) {
                problems.push(format!("{} {number}: {live:?} is not {whole:?}", fixture.name));
            }
        }
    }
    assert!(reasons > 1000, "only {reasons} reasons were compared");
    assert_none(
        "connections told together that are not told as in the report",
        &problems,
    );
}
