//! Says in one line what to do where the development files of libpcap are missing, instead of leaving it to the linker.
//! Takes in the page for browsers that `RESHAKE_PAGE` names, for `reshake page`.

use std::path::Path;
use std::process::{Command, Stdio};

const REMEDY: &str = "the development files of libpcap are missing: install them (Debian, Ubuntu: libpcap-dev; Fedora: \
                      libpcap-devel), or build without live capture: cargo build --no-default-features";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBPCAP_LIBDIR");
    println!("cargo::rerun-if-env-changed=CC");
    version();
    if let Err(error) = carry_page() {
        println!("cargo::error={error}");
    }
    let is_set = |name| std::env::var_os(name).is_some();
    let native = std::env::var_os("TARGET") == std::env::var_os("HOST");
    // Libraries for another machine cannot be tried here, and on Windows the library has another name.
    if is_set("CARGO_FEATURE_LIVE") && is_set("CARGO_CFG_UNIX") && native && links() == Some(false) {
        println!("cargo::error={REMEDY}");
    }
}

/// What `--version` says: features, and what for and of what it was built. Only what packaging says of the sources goes in:
/// to ask git here would have every commit compile everything anew.
fn version() {
    println!("cargo::rerun-if-env-changed=RESHAKE_BUILD");
    let read = |name| std::env::var(name).unwrap_or_default();
    let features = if std::env::var_os("CARGO_FEATURE_LIVE").is_some() {
        "live"
    } else {
        "none"
    };
    let mut build = format!("{}, {}", read("TARGET"), read("PROFILE"));
    let sources = read("RESHAKE_BUILD");
    if !sources.is_empty() {
        build.extend([", ", &sources]);
    }
    println!("cargo::rustc-env=RESHAKE_FEATURES={features}");
    println!("cargo::rustc-env=RESHAKE_BUILT={build}");
}

/// Copies the page to where the command looks for it; without one, nothing. A page of another version is refused: the two
/// must say the same of a capture.
fn carry_page() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=RESHAKE_PAGE");
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?;
    let mut page = String::new();
    if let Some(path) = std::env::var_os("RESHAKE_PAGE").filter(|path| !path.is_empty()) {
        let shown = Path::new(&path).display();
        println!("cargo::rerun-if-changed={shown}");
        page = std::fs::read_to_string(&path).map_err(|error| format!("RESHAKE_PAGE: {shown}: {error}"))?;
        let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
        if !page.contains(&format!("<meta name=\"generator\" content=\"reshake {version}\">")) {
            return Err(format!(
                "RESHAKE_PAGE: {shown}: is no page of version {version}; make one: cargo xtask web"
            ));
        }
    }
    std::fs::write(Path::new(&folder).join("page.html"), page).map_err(|error| error.to_string())
}

/// Whether a program with libpcap can be linked; `None` where there is no compiler to try it with.
fn links() -> Option<bool> {
    let folder = std::env::var_os("OUT_DIR")?;
    let source = Path::new(&folder).join("probe.c");
    std::fs::write(
        &source,
        "char *pcap_lib_version(void);\nint main(void) { return !pcap_lib_version(); }\n",
    )
    .ok()?;
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.arg(&source).arg("-o").arg(Path::new(&folder).join("probe"));
    if let Some(folder) = std::env::var_os("LIBPCAP_LIBDIR") {
        command.arg("-L").arg(folder);
    }
    command.arg("-lpcap").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().ok().map(|status| status.success())
}
