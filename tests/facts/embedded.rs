//! What an embedder is told is what the command reports.

use std::collections::BTreeMap;

use crate::common::{assert_none, fixtures, items, text};
use reshake_core::{Diagnosis, Limits};

#[test]
fn a_diagnosis_says_what_the_report_says() {
    let mut problems = Vec::new();
    let mut reasons = 0;
    for fixture in fixtures() {
        let (engine, _) = fixture.run(Limits::default());
        let diagnosis = Diagnosis::of(&engine);
        let told: Vec<Vec<&str>> = diagnosis
            .connections()
            .map(|(id, _)| diagnosis.reasons(id).iter().map(|judged| judged.reason.name).collect())
            .collect();
        let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, analysis) in diagnosis.services() {
            *answers.entry(&analysis.answer.sentence).or_default() += 1;
        }
        let report = fixture.report();
        let names = |connection| {
            items(connection, "reasons")
                .iter()
                .filter_map(|it| text(it, "name"))
                .collect()
        };
        let reported: Vec<Vec<&str>> = items(&report, "connections").iter().map(names).collect();
        let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
        for answer in items(&report, "services").iter().filter_map(|it| text(it, "answer")) {
            *answered.entry(answer).or_default() += 1;
        }
        if told != reported || answers != answered {
            problems.push(format!(
                "{}: {told:?} is not {reported:?}, or {answers:?} not {answered:?}",
                fixture.name
            ));
        }
        reasons += told.iter().map(Vec::len).sum::<usize>();
    }
    assert!(reasons > 500, "only {reasons} reasons were compared");
    assert_none("diagnoses that are not as reported", &problems);
}
