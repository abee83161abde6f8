//! The command `reshake`.
fn main() -> std::process::ExitCode {
    reshake::cli::main()
}
