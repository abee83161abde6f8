//! `cargo xtask web` makes `reshake.html`: core, worker, looks and a sample capture in one file that needs nothing else.
//!
//! `cargo xtask dist` makes the page and then the command that carries it, for `reshake page`.

mod page;
mod wasm;

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "cargo xtask web     makes the page: TARGET/web/reshake.html
cargo xtask dist    makes the page, and the command (release) that carries it";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let done = match task.as_str() {
        "web" => web().map(|path| say(&path)),
        "dist" => dist(),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The last line of the output is the path, for scripts.
fn say(path: &Path) {
    let _ = writeln!(std::io::stdout(), "{}", path.display());
}

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_owned)
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path))
}

fn web() -> Result<PathBuf> {
    let parts = wasm::build(&root(), &target())?;
    let page = page::assemble(&root(), &parts)?;
    let folder = target().join("web");
    fs::create_dir_all(&folder)?;
    // Core and glue beside the page: tests run them without a browser.
    fs::write(folder.join("reshake.wasm"), &parts.core)?;
    fs::write(folder.join("glue.js"), &parts.glue)?;
    let path = folder.join("reshake.html");
    fs::write(&path, page)?;
    Ok(path)
}

fn dist() -> Result<()> {
    let page = web()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .current_dir(root())
        .args(["build", "--locked", "--release", "--package", "reshake"]);
    if !build.env("RESHAKE_PAGE", &page).status()?.success() {
        return Err("the command could not be built".into());
    }
    say(&target().join("release").join("reshake"));
    Ok(())
}
