//! The crate in `web/` as a module for browsers, and the script that speaks with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use wasm_bindgen_cli_support::Bindgen;

use crate::Result;

/// What goes into the page.
pub(crate) struct Parts {
    /// The module.
    pub(crate) core: Vec<u8>,
    /// What makes its functions those of a script: it defines `wasm_bindgen`.
    pub(crate) glue: String,
}

/// Builds the module, by way of the script that knows where to find the target.
pub(crate) fn build(root: &Path, target: &Path) -> Result<Parts> {
    let mut build = Command::new(root.join("packaging/wasm"));
    build.args(["--package", "reshake-web", "--profile", "page"]);
    // Paths of this machine stand in no message of a panic, so that the page does not depend on them.
    let mut flags = vec![format!("--remap-path-prefix={}=.", root.display())];
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    flags.extend(home.map(|home| format!("--remap-path-prefix={home}=cargo")));
    build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    if !build.status()?.success() {
        return Err("the module could not be built".into());
    }
    let module = target.join("wasm32-unknown-unknown/page/reshake_web.wasm");
    let mut output = Bindgen::new()
        .input_path(module)
        // Modules cannot be imported from file://.
        .no_modules(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()?;
    let folder = target.join("web/bindgen");
    fs::create_dir_all(&folder)?;
    output.emit(&folder)?;
    Ok(Parts {
        core: fs::read(folder.join("reshake_web_bg.wasm"))?,
        glue: fs::read_to_string(folder.join("reshake_web.js"))?,
    })
}
