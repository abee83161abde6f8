//! Reports to hand on: Markdown, CSV and HTML, the last one opened by a real browser.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{assert_none, fixture, fixtures, root};
use assert_cmd::cargo::cargo_bin;
use reshake::model::Report;
use reshake::model::document::Bounds;
use reshake::model::view::ranking::ranking;
use reshake::render::text::TextOptions;
use reshake::render::{html, json, markdown, text};
use reshake_core::engine::Limits;

/// Services of which one form or the other tells less are beyond these.
const MAX_COMPARED: usize = 5;

const QUICKSTART: &str = "captures/quickstart";
const UNPROVEN: &str = "captures/certificate-of-one-machine";

fn written(name: &str, write: impl Fn(&Report<'_>, &mut Vec<u8>) -> std::io::Result<()>) -> String {
    let (engine, captures) = fixture(name).run(Limits::default());
    let mut out = Vec::new();
    write(&Report::of(&engine, captures), &mut out).expect("written to memory");
    String::from_utf8(out)
        .expect("UTF-8")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

fn page(name: &str) -> String {
    written(name, |report, out| html::write(report, Bounds::USUAL, out))
}

#[test]
fn the_quickstart_as_markdown() {
    insta::assert_snapshot!(written(QUICKSTART, |report, out| markdown::write(
        report,
        Bounds::USUAL,
        out
    )));
}

/// A cause that is not proven, with the patterns and reasons that fit as well.
#[test]
fn what_is_only_possible_as_markdown() {
    let page = written(UNPROVEN, |report, out| markdown::write(report, Bounds::USUAL, out));
    insta::assert_snapshot!(page);
}

#[test]
fn the_quickstart_as_csv() {
    insta::assert_snapshot!(written(QUICKSTART, |report, out| json::write_csv(report, out)));
}

#[test]
fn the_quickstart_as_html() {
    let page = page(QUICKSTART);
    let (_, body) = page.split_once("</style>").expect("a style");
    insta::assert_snapshot!(body);
}

/// The words of a page, whatever stands between them.
fn plainly(page: &str) -> String {
    let plain = page.replace("&#39;", "'").replace("&quot;", "\"").replace("&amp;", "&");
    plain.replace('\\', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn text_json_markdown_and_html_tell_a_service_the_same() {
    let everything = TextOptions {
        all: true,
        ..TextOptions::default()
    };
    let (mut problems, mut guesses) = (Vec::new(), 0);
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let report = Report::of(&engine, captures);
        let [mut as_text, mut as_json, mut as_markdown, mut as_html] = [const { Vec::new() }; 4];
        text::write(&report, everything, &mut as_text).expect("written to memory");
        json::write_document(&report, &mut as_json).expect("written to memory");
        markdown::write(&report, Bounds::USUAL, &mut as_markdown).expect("written to memory");
        html::write(&report, Bounds::USUAL, &mut as_html).expect("written to memory");
        let forms = [
            ("text", as_text),
            ("JSON", as_json),
            ("Markdown", as_markdown),
            ("HTML", as_html),
        ];
        let forms = forms.map(|(form, page)| (form, plainly(&String::from_utf8(page).expect("UTF-8"))));
        for view in report.services.iter().take(MAX_COMPARED) {
            let Some(answer) = report.answer(&view.service()) else {
                continue;
            };
            guesses += usize::from(answer.sentence.contains("offered no session, perhaps"));
            let said = [Some(&answer.sentence), answer.action.as_ref()];
            for (said, (form, page)) in said
                .into_iter()
                .flatten()
                .flat_map(|said| forms.iter().map(move |form| (said, form)))
            {
                if !page.contains(&plainly(said)) {
                    problems.push(format!("{}: {form} does not say: {said}", fixture.name));
                }
            }
        }
    }
    assert!(guesses > 0, "reasons add to none of them");
    assert_none("forms that say something else", &problems);
}

/// Reads CSV as RFC 4180 has it.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let row = rows.last_mut().expect("a row");
        let cell = row.last_mut().expect("a cell");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {
                letters.next();
                rows.push(vec![String::new()]);
            }
            letter => cell.push(letter),
        }
    }
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last row ends as all do");
    rows
}

#[test]
fn every_row_of_csv_has_a_cell_for_each_heading_and_says_what_the_json_says() {
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let report = Report::of(&engine, captures);
        let mut out = Vec::new();
        json::write_csv(&report, &mut out).expect("written to memory");
        let rows = rows(std::str::from_utf8(&out).expect("UTF-8"));
        let document = fixture.report();
        let connections = crate::common::items(&document, "connections");
        assert_eq!(rows.len(), connections.len() + 1, "{}", fixture.name);
        let column = |name: &str| rows[0].iter().position(|heading| heading == name).expect("a heading");
        let [id, outcome, reason] = ["id", "outcome", "reason"].map(column);
        for (row, connection) in rows.iter().skip(1).zip(connections) {
            assert_eq!(row.len(), rows[0].len(), "{}: {row:?}", fixture.name);
            assert_eq!(Some(row[id].as_str()), crate::common::text(connection, "id"));
            assert_eq!(Some(row[outcome].as_str()), crate::common::text(connection, "outcome"));
            let primary = crate::common::items(connection, "reasons").first();
            assert_eq!(
                row[reason],
                primary
                    .and_then(|it| crate::common::text(it, "name"))
                    .unwrap_or_default()
            );
        }
    }
}

/// Opening and closing tags must match, and every attribute must be one that the page is meant to have.
fn assert_well_formed(name: &str, page: &str) {
    const VOID: [&str; 3] = ["meta", "!DOCTYPE", "br"];
    let mut open: Vec<String> = Vec::new();
    let (head, body) = page.split_once("<style>").expect("a style");
    let (_, body) = body.split_once("</style>").expect("its end");
    for part in [head, body].into_iter().flat_map(|part| part.split('<').skip(1)) {
        let (tag, _) = part
            .split_once('>')
            .unwrap_or_else(|| panic!("{name}: <{part} is not closed"));
        let word = tag
            .split([' ', '\n', '/'])
            .find(|word| !word.is_empty())
            .expect("a name");
        assert!(
            !["script", "img", "link", "iframe", "object", "form"].contains(&word),
            "{name}: <{tag}>"
        );
        for attribute in tag
            .split('"')
            .step_by(2)
            .flat_map(|it| it.split_whitespace())
            .filter(|it| it.ends_with('='))
        {
            assert!(
                !attribute.starts_with("on") && !["src=", "style="].contains(&attribute),
                "{name}: <{tag}>"
            );
            assert!(attribute != "href=" || tag.contains("href=\"#"), "{name}: <{tag}>");
        }
        if tag.starts_with('/') {
            let closed = open.pop();
            // The head was taken apart at its style.
            assert!(closed.as_deref() == Some(word), "{name}: </{word}> closes {closed:?}");
        } else if !tag.ends_with('/') && !VOID.contains(&word) {
            open.push(word.to_owned());
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} stay open");
}

#[test]
fn every_page_is_well_formed_and_asks_for_nothing() {
    for fixture in fixtures() {
        let page = page(&fixture.name);
        assert_well_formed(&fixture.name, &page);
        assert!(page.contains("default-src 'none'"), "{}", fixture.name);
        assert!(
            !page.contains("http://") && !page.contains("https://") && !page.contains("url("),
            "{}",
            fixture.name
        );
    }
}

#[test]
fn a_name_that_is_markup_stays_text() {
    let (mut engine, captures) = fixture(QUICKSTART).run(Limits::default());
    let evil = "<img src=x onerror=alert(1)>\"'=1+1|`x`";
    engine.facts_mut().connection_store.rename(|connection| {
        if let Some(hello) = connection.hello.yes_mut() {
            hello.server_name = Some(evil.into());
        }
    });
    let report = Report::of(&engine, captures);
    let mut page = Vec::new();
    html::write(&report, Bounds::USUAL, &mut page).expect("written to memory");
    let page = String::from_utf8(page).expect("UTF-8");
    assert_well_formed("evil", &page);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;=1+1|`x`"));
    let mut ticket = Vec::new();
    markdown::write(&report, Bounds::USUAL, &mut ticket).expect("written to memory");
    let ticket = String::from_utf8(ticket).expect("UTF-8");
    assert!(
        ticket.contains("## Service ``<img src=x onerror=alert(1)>\"'=1+1\\|`x`"),
        "{ticket}"
    );
    let mut csv = Vec::new();
    json::write_csv(&report, &mut csv).expect("written to memory");
    let rows = rows(std::str::from_utf8(&csv).expect("UTF-8"));
    assert!(
        rows.iter()
            .skip(1)
            .all(|row| row[12] == "<img src=x onerror=alert(1)>\"'=1+1|`x`"),
        "{:?}",
        rows[1]
    );
}

#[test]
fn what_is_left_out_is_said_with_the_way_to_get_it() {
    let few = Bounds {
        services: 1,
        clients: 1,
        kinds: 1,
        connections: 3,
    };
    let page = written(QUICKSTART, |report, out| html::write(report, few, out));
    assert!(
        page.contains("3 connections, those to act on first") && page.contains("<code>--format csv</code> lists all"),
        "{page}"
    );
    assert!(page.contains("The sessions of "), "{page}");
}

/// A browser, if there is one.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// Opens a page without a screen or a network, and gives what the browser said.
fn opened(browser: &Path, folder: &Path, page: &Path, more: &[&str]) -> (String, String) {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--window-size=1100,2400",
        ])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("the browser runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Whether a page asked for something: the browser's own requests have no origin as initiator, those of a file "null".
fn asked_for_something(log: &Path) -> bool {
    let log = std::fs::read_to_string(log).expect("a log of requests");
    assert!(log.contains("constants"), "the log of requests is there");
    log.contains("\"initiator\":\"null\"") || log.contains("\"initiator\":\"file:")
}

#[test]
fn a_browser_shows_the_page_without_a_complaint_and_without_the_network() {
    let Some(browser) = chromium() else {
        // Past what the test runner keeps to itself: a skipped check must be seen.
        let _ = writeln!(std::io::stderr(), "skipped: no chromium on this machine");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let output = Command::new(cargo_bin("reshake"))
        .args(["analyze", "-q", "--format", "html"])
        .arg("fixtures/captures/quickstart/capture.pcapng")
        .current_dir(root())
        .output()
        .expect("the binary runs");
    let [page, evil, log, shot] = ["page.html", "evil.html", "net.json", "page.png"].map(|name| at.join(name));
    std::fs::write(&page, &output.stdout).expect("a temporary file");
    let logged = format!("--log-net-log={}", log.display());
    let taken = format!("--screenshot={}", shot.display());
    let (_, said) = opened(&browser, at, &page, &[&taken, &logged]);
    assert!(!said.contains("CONSOLE"), "{said}");
    assert!(!asked_for_something(&log));
    let shot = std::fs::metadata(&shot).expect("a screenshot");
    assert!(shot.len() > 50_000, "the page is not empty");
    let (document, said) = opened(&browser, at, &page, &["--dump-dom"]);
    assert!(!said.contains("CONSOLE"), "{said}");
    assert!(
        document.contains("<h1>TLS resumption</h1>") && document.contains("</footer>"),
        "all of it was read"
    );
    // The same checks on a page with a mistake: its policy stops a request and says so, and without it there is one.
    let page = String::from_utf8(output.stdout).expect("UTF-8");
    let mistaken = page.replace("</main>", "<img src=\"http://example.test/x.png\"></main>");
    std::fs::write(&evil, &mistaken).expect("a temporary file");
    let (_, said) = opened(&browser, at, &evil, &["--dump-dom", &logged]);
    assert!(
        said.contains("CONSOLE") && said.contains("Content Security Policy"),
        "{said}"
    );
    assert!(!asked_for_something(&log));
    std::fs::write(&evil, mistaken.replace("Content-Security-Policy", "x")).expect("a temporary file");
    opened(&browser, at, &evil, &["--dump-dom", &logged]);
    assert!(asked_for_something(&log));
}

/// A page of every capture of a folder of fixtures: many services.
fn page_of_many() -> String {
    let folder = root().join("fixtures/captures");
    let mut captures: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("fixtures")
        .map(|entry| entry.expect("an entry").path().join("capture.pcapng"))
        .filter(|path| path.is_file())
        .collect();
    captures.sort();
    let output = Command::new(cargo_bin("reshake"))
        .args(["analyze", "-q", "--format", "html"])
        .args(captures)
        .output()
        .expect("the binary runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_browser_runs_what_sorts_many_services_and_nothing_runs_past_the_edge_of_a_phone() {
    let Some(browser) = chromium() else {
        let _ = writeln!(std::io::stderr(), "skipped: no chromium on this machine");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let many = page_of_many();
    assert!(many.contains("<script>") && many.contains("script-src 'sha256-"));
    let path = at.join("many.html");
    std::fs::write(&path, &many).expect("a temporary file");
    let (document, said) = opened(&browser, at, &path, &["--dump-dom"]);
    // Under its own policy the script ran, and said so by what it made.
    assert!(!said.contains("CONSOLE"), "{said}");
    assert!(document.contains("<input type=\"search\""), "the filter is there");
    // How far the page is wider than the window can only be asked with a script that its policy would stop.
    let measure = "<script>document.documentElement.setAttribute('data-over', \
                   document.documentElement.scrollWidth - document.documentElement.clientWidth)</script></body>";
    for page in [many, page(QUICKSTART), page("captures/workers-with-own-keys")] {
        let page = page.replace("Content-Security-Policy", "x").replace("</body>", measure);
        std::fs::write(&path, page).expect("a temporary file");
        for size in ["390,844", "1280,900"] {
            let window = format!("--window-size={size}");
            let (document, _) = opened(&browser, at, &path, &["--dump-dom", &window]);
            assert!(document.contains("data-over=\"0\""), "the page is wider than {size}");
        }
    }
}

#[test]
fn the_answer_stands_before_everything_else_and_what_to_act_on_before_the_rest() {
    let page = page(QUICKSTART);
    let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part}"));
    assert!(place("class=\"card answer") < place("<h2 id=\"overview\">"));
    let list = page.split_once("class=\"list\"").expect("a list").1;
    let first = |class: &str| list.find(&format!("<details class=\"{class}\"")).expect("a connection");
    assert!(first("declined") < first("resumed") && first("resumed") < first("silent"));
}

#[test]
fn lanes_are_ticket_keys_where_nothing_else_tells_backends_apart() {
    let page = page("captures/restart-same-host");
    let picture = page.split_once("Sessions of client 10.0.0.11").expect("a picture").1;
    assert!(
        picture.starts_with(" between ticket keys; nothing tells backends apart</figcaption>"),
        "{picture}"
    );
    // As the table of ticket keys calls them, in the order in which they came into use.
    let lanes: Vec<&str> = picture
        .split("</svg>")
        .find(|svg| svg.contains("class=\"lane\""))
        .expect("lanes")
        .split("<text x=\"0\"")
        .skip(1)
        .filter_map(|text| text.split(['>', '<']).nth(1))
        .collect();
    let keys: Vec<&str> = page
        .split("<th scope=\"col\">ticket key</th>")
        .nth(1)
        .expect("a table of keys")
        .split("<th scope=\"row\"><code>")
        .skip(1)
        .filter_map(|row| row.split('<').next())
        .take(2)
        .collect();
    assert_eq!(lanes.len(), 2, "{lanes:?}");
    assert_eq!(lanes, keys);
    // Machines that are told apart by marks go first.
    assert!(self::page(QUICKSTART).contains("Sessions of client 10.0.0.11 between backends</figcaption>"));
}

#[test]
fn a_cost_without_round_trips_does_not_count_them() {
    let page = page("captures/stek-not-shared-tls13");
    assert!(
        page.contains("<b>Cost:</b> 5 full handshakes of returning clients cost no extra round trip and 7.12 kB.</p>"),
        "{page}"
    );
}

#[test]
fn the_problem_of_a_service_is_what_explains_its_refusals() {
    for (name, problem) in [
        ("captures/workers-with-own-keys", "ticket-keys-not-shared"),
        ("captures/stek-not-shared-tls13", "ticket-keys-not-shared"),
        ("captures/imap-process-per-login", "tickets-never-honoured"),
        ("reasons/failover-no-shared-state", "failover"),
    ] {
        let (engine, captures) = fixture(name).run(Limits::default());
        let rows = ranking(&Report::of(&engine, captures));
        let worst = rows.first().expect("a service");
        // Not that session IDs pin nobody, which is as sure and says nothing of refusals.
        assert_eq!(worst.problem, Some(problem), "{name}");
    }
}

#[test]
fn a_contrast_has_no_row_that_stands_for_nothing() {
    for name in ["captures/ids-and-tickets-in-vain", "captures/imap-process-per-login"] {
        assert!(!page(name).contains("<th scope=\"row\">-</th>"), "{name}");
        let all = |report: &Report<'_>, out: &mut Vec<u8>| {
            let options = TextOptions {
                all: true,
                ..TextOptions::default()
            };
            text::write(report, options, out)
        };
        let told = written(name, all);
        assert!(told.contains(" resumed   "), "there are contrasts: {told}");
        assert!(!told.lines().any(|line| line.trim_start().starts_with("-  ")), "{told}");
    }
}

#[test]
fn many_services_scroll_in_a_window_of_their_own() {
    let many = page_of_many();
    assert!(many.contains("<div class=\"wide tall\" tabindex=\"0\" role=\"region\" aria-labelledby=\"services\">"));
    let few = page("captures/two-stacks-one-address");
    assert!(!few.contains("wide tall"));
}
