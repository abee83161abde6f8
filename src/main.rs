//! The command `reshake`.
/// A tenth less CPU time than the system's allocator: every connection is an allocation of its own, and the large ones
/// are given back and asked for again by the thousand.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    reshake::cli::main()
}
