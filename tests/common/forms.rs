//! A report in every form in which it leaves the program.

use reshake::model::Report;
use reshake::model::document::Bounds;
use reshake::model::session::{Life, NameMeaning};
use reshake::model::view::connection::ConnectionView;
use reshake::model::view::credential::CredentialView;
use reshake::model::view::service::ServicePage;
use reshake::model::view::table;
use reshake::model::view::table::{Query, Sort, Table};
use reshake::render::item::{self, ReportPart, markdown};
use reshake::render::session;
use reshake::render::{html, json, markdown as handed_on, text};
use reshake::what_if::render as what_if;
use reshake::what_if::{Balance, Plan, Share};

/// Connections, credentials and services of which pages of their own are made.
const PAGES: usize = 6;

/// A name, and what is written.
pub(crate) type Form = (&'static str, Vec<u8>);

/// Every form that people read.
pub(crate) fn for_people(report: &Report<'_>) -> Vec<Form> {
    let mut forms = Vec::new();
    for coloured in [false, true] {
        for all in [false, true] {
            let options = text::TextOptions { coloured, all };
            add(&mut forms, "text", |out| text::write(report, options, out));
        }
    }
    let answer = what_if::WhatIf::of(report, &plans());
    add(&mut forms, "what-if", |out| what_if::write_text(&answer, None, out));
    for found in found(report) {
        let life = Life::of(report, found);
        add(&mut forms, "session", |out| session::text(report, &life, out));
        forms.push(("candidate", session::candidate(report, found).into_bytes()));
    }
    add(&mut forms, "overview", |out| markdown::overview(report, out));
    add(&mut forms, "markdown", |out| {
        handed_on::write(report, Bounds::WIDE, out)
    });
    add(&mut forms, "html", |out| html::write(report, Bounds::WIDE, out));
    tables(report, &mut forms);
    for place in 0..PAGES {
        if let Some(view) = ConnectionView::at(report, place) {
            add(&mut forms, "connection", |out| markdown::connection(&view, out));
        }
        if let Some(page) = ServicePage::of(report, place, 0, &|| true) {
            add(&mut forms, "service", |out| markdown::service(&page, out));
        }
    }
    for (id, _) in report.credentials().take(PAGES) {
        if let Some(view) = CredentialView::of(report, id) {
            add(&mut forms, "credential", |out| markdown::credential(&view, out));
        }
    }
    forms
}

/// Every form that machines read: each line is JSON.
pub(crate) fn for_machines(report: &Report<'_>) -> Vec<Form> {
    let mut forms = Vec::new();
    add(&mut forms, "document", |out| json::write_document(report, out));
    add(&mut forms, "lines", |out| json::write_lines(report, out));
    let answer = what_if::WhatIf::of(report, &plans());
    add(&mut forms, "what-if", |out| what_if::write_json(&answer, None, out));
    for found in found(report) {
        let life = Life::of(report, found);
        add(&mut forms, "session", |out| session::json(report, &life, out));
    }
    let ids = report
        .connections()
        .map(|(_, id, _)| ReportPart::Connection(id))
        .take(PAGES);
    let scopes = (0..report.services.len().min(PAGES))
        .map(ReportPart::Service)
        .chain(ids);
    for scope in scopes {
        add(&mut forms, "scope", |out| item::json(report, &scope, out));
    }
    forms
}

fn add(forms: &mut Vec<Form>, name: &'static str, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) {
    let mut out = Vec::new();
    write(&mut out).expect("written to memory");
    forms.push((name, out));
}

fn found(report: &Report<'_>) -> Vec<NameMeaning> {
    let credentials = report
        .credentials()
        .map(|(id, _)| NameMeaning::Credential(id))
        .take(PAGES);
    let connections = report
        .connections()
        .map(|(_, id, _)| NameMeaning::Connection(id))
        .take(PAGES);
    credentials.chain(connections).collect()
}

fn tables(report: &Report<'_>, forms: &mut Vec<Form>) {
    for table in [Table::Connections, Table::Credentials] {
        for column in 0..table.columns().len() {
            let query = Query {
                table,
                selection: None,
                sort: Some(Sort {
                    column,
                    descending: column % 2 == 0,
                }),
            };
            let Some(rows) = table::find(report, &query, &|| true) else {
                continue;
            };
            if column == 0 {
                add(forms, "table", |out| markdown::table(report, table, &rows, out));
            }
        }
    }
}

fn plans() -> Vec<Plan> {
    let plan = |balance, share| Plan {
        backends: 3,
        balance,
        share,
        timeout: Some(300),
        key_rotation: None,
        seed: 1,
    };
    Balance::ALL
        .into_iter()
        .flat_map(|balance| Share::ALL.map(|share| plan(balance, share)))
        .collect()
}
