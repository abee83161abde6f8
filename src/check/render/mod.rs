//! Rules held against a report: what `reshake check` says, as text, Markdown, JSON, JUnit XML, SARIF, GitHub annotations
//! and GitLab's code quality report.

mod advice;
mod github;
mod gitlab;
mod json;
mod junit;
mod markdown;
mod sarif;
mod text;
mod words;

use std::io::{self, Write};
use std::path::PathBuf;

use hashbrown::{HashMap, HashSet};

use crate::check::interval::Ratio;
use crate::check::{Area, Baseline, Each, Ground, Member, Quantities, RuleEvaluator, Rules, Scope, Verdict};
use crate::model::{Counts, Report, Selection, ServiceView, alike, service_of};
use reshake_core::session::{Connection, ConnectionId, Outcome, Service};

pub use json::{SCHEMA, schema};

/// Forms of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckFormat {
    /// For people.
    Text {
        /// With colour.
        coloured: bool,
    },
    /// One document.
    Json,
    /// For test reports.
    Junit,
    /// For code scanning (SARIF 2.1.0).
    Sarif,
    /// Annotations of GitHub's workflows.
    Github,
    /// Code quality report of GitLab.
    Gitlab,
    /// For the summary of a job.
    Markdown,
}

/// What was asked, for whoever wants to ask again.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The inputs.
    pub files: Vec<PathBuf>,
    /// The key logs.
    pub keylogs: Vec<PathBuf>,
    /// What kept an input from being read, a line each.
    pub errors: Vec<String>,
    /// Parts that are not to be found by their names any more, but by these selections.
    pub parts: Vec<(String, Selection)>,
}

/// Rules held against a report.
#[derive(Debug)]
pub struct Check<'c, 'r> {
    report: &'c Report<'r>,
    asked: &'c Asked,
    verdicts: Vec<Verdict>,
}

impl<'c, 'r> Check<'c, 'r> {
    /// Holds rules against everything in a report.
    #[must_use]
    pub fn of(report: &'c Report<'r>, rules: &Rules, baseline: Option<&Baseline>, asked: &'c Asked) -> Self {
        let ground = Ground {
            credential_store: report.engine.credential_store(),
            analyses: &report.analyses,
            evicted: report.only_counted(),
            min_confidence: rules.min_confidence.as_ref().map(|(confidence, _)| *confidence),
            baseline,
        };
        let mut court = Court::new(rules, asked);
        for (place, (_, id, connection)) in report.connections().enumerate() {
            court.see(report, place, (id, connection), &ground);
        }
        Self {
            report,
            asked,
            verdicts: court.finish(report, &ground),
        }
    }

    /// Whether every rule holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.holds)
    }

    /// The verdicts, in the order of the rules.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Whether every rule holds and everything could be read.
    fn passed(&self) -> bool {
        self.holds() && self.asked.errors.is_empty()
    }

    fn violated(&self) -> usize {
        self.verdicts.iter().filter(|verdict| !verdict.holds).count()
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, form: CheckFormat, out: &mut dyn Write) -> io::Result<()> {
        match form {
            CheckFormat::Text { coloured } => text::write(self, coloured, out),
            CheckFormat::Json => json::write(self, out),
            CheckFormat::Junit => junit::write(self, out),
            CheckFormat::Sarif => sarif::write(self, out),
            CheckFormat::Github => github::write(self, out),
            CheckFormat::Gitlab => gitlab::write(self, out),
            CheckFormat::Markdown => markdown::write(self, out),
        }
    }

    fn connection(&self, id: ConnectionId) -> Option<(usize, &Connection)> {
        let (number, _, connection) = self.report.at(self.report.place_of(id)?)?;
        Some((number, connection))
    }
}

/// One area with its counts and the rules on trial there.
struct Bench {
    area: Area,
    counts: Counts,
    services: HashSet<Service>,
    trials: Vec<(usize, RuleEvaluator)>,
}

impl Bench {
    fn quantities(&self) -> Quantities {
        quantities(&self.counts)
    }
}

/// What rules compare, of counts.
pub(crate) fn quantities(counts: &Counts) -> Quantities {
    let Counts { outcomes, offers, .. } = counts;
    Quantities {
        connections: outcomes.total(),
        unclear: outcomes.unclear,
        resumption: Ratio {
            part: offers.accepted,
            whole: offers.accepted + offers.declined + offers.failed,
        },
        returning: Ratio {
            part: outcomes.resumed,
            whole: counts.decided().saturating_sub(counts.newcomers),
        },
    }
}

/// All rules on trial over all their areas.
struct Court<'c> {
    rules: &'c Rules,
    /// Terms of the parts, understood.
    parts: Vec<(&'c str, Option<Selection>)>,
    benches: Vec<Bench>,
    places: HashMap<Area, usize>,
}

impl<'c> Court<'c> {
    fn new(rules: &'c Rules, asked: &Asked) -> Self {
        let selection = |terms: &str| {
            let known = asked.parts.iter().find(|(name, _)| name == terms);
            known.map_or_else(
                || Selection::parse(terms).ok(),
                |(_, selection)| Some(selection.clone()),
            )
        };
        let parts = rules.parts().into_iter().map(|terms| (terms, selection(terms)));
        let parts: Vec<(&str, Option<Selection>)> = parts.collect();
        let mut court = Self {
            rules,
            parts,
            benches: Vec::new(),
            places: HashMap::new(),
        };
        // What no connection belongs to is judged as well.
        court.bench(&Area::All);
        let terms: Vec<&str> = court.parts.iter().map(|(terms, _)| *terms).collect();
        for terms in terms {
            court.bench(&Area::Part(terms.to_owned()));
        }
        court
    }

    /// The place of an area, with the rules that are about it.
    fn bench(&mut self, area: &Area) -> usize {
        if let Some(place) = self.places.get(area) {
            return *place;
        }
        let is_about = |scope: &Scope| match (scope, area) {
            (Scope::All, Area::All)
            | (Scope::Each(Each::Service), Area::Service(_) | Area::NoneOf(Each::Service))
            | (Scope::Each(Each::ServerName), Area::ServerName(_) | Area::NoneOf(Each::ServerName))
            | (Scope::Each(Each::Mechanism), Area::Mechanism(_) | Area::NoneOf(Each::Mechanism)) => true,
            (Scope::Part(terms), Area::Part(part)) => terms == part,
            _ => false,
        };
        let rules = self.rules.rules.iter().enumerate();
        let trials = rules
            .filter(|(_, rule)| is_about(&rule.scope))
            .map(|(place, rule)| (place, RuleEvaluator::new(rule, area.clone())))
            .collect();
        self.benches.push(Bench {
            area: area.clone(),
            counts: Counts::default(),
            services: HashSet::new(),
            trials,
        });
        let place = self.benches.len() - 1;
        self.places.insert(area.clone(), place);
        place
    }

    fn see(
        &mut self,
        report: &Report<'_>,
        place: usize,
        (id, connection): (ConnectionId, &Connection),
        ground: &Ground<'_>,
    ) {
        let service = service_of(connection);
        let primary = report.primary(place);
        let newcomer = alike::is_no_return(connection, primary.map(|primary| primary.reason));
        let judge = || report.reasons(id, connection);
        let member = Member::new((id, connection), &service, newcomer, &judge);
        for area in self.areas(report, place, connection, &service) {
            let place = self.bench(&area);
            let Some(bench) = self.benches.get_mut(place) else {
                continue;
            };
            bench.counts.add_kind(connection, newcomer);
            if !bench.services.contains(&service) {
                bench.services.insert(service.clone());
            }
            for (_, trial) in &mut bench.trials {
                trial.see(&member, ground);
            }
        }
    }

    /// Every area that a connection belongs to and some rule is about.
    fn areas(&self, report: &Report<'_>, place: usize, connection: &Connection, service: &Service) -> Vec<Area> {
        let mut areas = vec![Area::All];
        for each in [Each::Service, Each::ServerName, Each::Mechanism] {
            if !self.rules.rules.iter().any(|rule| rule.scope == Scope::Each(each)) {
                continue;
            }
            match each {
                Each::Service => areas.push(Area::Service(service.clone())),
                Each::ServerName => areas.push(Area::ServerName(service.name.clone())),
                Each::Mechanism => {
                    let resumed_by = match connection.outcome {
                        Outcome::Resumed(mechanism) => mechanism,
                        _ => None,
                    };
                    for mechanism in connection.offered().chain(resumed_by) {
                        let area = Area::Mechanism(mechanism);
                        if !areas.contains(&area) {
                            areas.push(area);
                        }
                    }
                }
            }
        }
        for (terms, selection) in &self.parts {
            if selection
                .as_ref()
                .is_some_and(|selection| report.holds(selection, place))
            {
                areas.push(Area::Part((*terms).to_owned()));
            }
        }
        areas
    }

    fn finish(mut self, report: &Report<'_>, ground: &Ground<'_>) -> Vec<Verdict> {
        for each in [Each::Service, Each::ServerName, Each::Mechanism] {
            let is_asked = self.rules.rules.iter().any(|rule| rule.scope == Scope::Each(each));
            let is_there = self.benches.iter().any(|bench| {
                matches!(
                    (&bench.area, each),
                    (Area::Service(_), Each::Service)
                        | (Area::ServerName(_), Each::ServerName)
                        | (Area::Mechanism(_), Each::Mechanism)
                )
            });
            if is_asked && !is_there {
                self.bench(&Area::NoneOf(each));
            }
        }
        let services: Vec<Service> = report.services.iter().map(ServiceView::service).collect();
        let places: HashMap<&Service, usize> = services.iter().zip(0..).collect();
        let mut verdicts: Vec<(usize, Verdict)> = Vec::new();
        for mut bench in self.benches {
            // What was folded away at the memory limit is counted, as in the report.
            if bench.area == Area::All {
                bench.counts = report.summary.counts;
            }
            let quantities = bench.quantities();
            // In the order of the report. Where each service has a bench, a bench looks at its own alone.
            let of_bench = bench.services.iter().filter_map(|service| places.get(service).copied());
            let mut of_bench: Vec<usize> = of_bench.collect();
            of_bench.sort_unstable();
            for (place, mut trial) in bench.trials {
                for service in of_bench.iter().filter_map(|place| services.get(*place)) {
                    let patterns = report.analyses.service(service);
                    let patterns = patterns.map_or(&[][..], |analysis| analysis.patterns.as_slice());
                    trial.see_service(service, patterns, report.findings.service(service), ground);
                }
                verdicts.push((place, trial.finish(&quantities, ground)));
            }
        }
        verdicts.sort_by_key(|(place, _)| *place);
        verdicts.into_iter().map(|(_, verdict)| verdict).collect()
    }
}
