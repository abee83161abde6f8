//! `reshake page`: the page for browsers, which a build may carry.

use std::io::Write;

use super::args::page::Page;
use super::output::OutputFile;
use super::{Done, Status, complain, print};
use crate::capture::{is_standard_input, name_of};

/// The page, where this was built with one (`build.rs`); else nothing.
const PAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html"));

pub(super) fn run(arguments: &Page) -> Done {
    if PAGE.is_empty() {
        complain(
            "page: this build carries no page; take reshake.html from the release, or build a command that carries it: \
             cargo xtask dist",
        );
        return Ok(Status::Unreadable);
    }
    let path = &arguments.output;
    if is_standard_input(path) {
        print(|out| out.write_all(PAGE))?;
        return Ok(Status::Analysed);
    }
    let written = OutputFile::begin(path, None).and_then(|mut output| {
        let done = output.write_all(PAGE).and_then(|()| output.finish());
        done.map_err(|error| {
            (
                format!("-o: {}: cannot be written: {error}", name_of(path)),
                Status::Unreadable,
            )
        })
    });
    match written {
        Ok(()) => Ok(Status::Analysed),
        Err((line, status)) => {
            complain(&line);
            Ok(status)
        }
    }
}
