//! `reshake extcap`: Wireshark captures by way of reshake, and sees the verdicts as packet comments (extcap(4)).
//!
//! Wireshark asks for interfaces, link types and options at every start, one process each, and waits for the answers.

#[cfg(all(feature = "live", target_os = "linux"))]
mod capture;

use super::args::wireshark::ExtcapArgs;
use super::{Done, Status, complain};

#[cfg(not(all(feature = "live", target_os = "linux")))]
#[allow(clippy::unnecessary_wraps, reason = "as where interfaces can be listed")]
pub(super) fn run(arguments: &ExtcapArgs) -> Done {
    // Wireshark asks every program; one that has nothing to offer is no failure.
    if arguments.extcap_interfaces {
        return Ok(Status::Analysed);
    }
    complain(super::live::MISSING);
    Ok(Status::Usage)
}

#[cfg(all(feature = "live", target_os = "linux"))]
pub(super) fn run(arguments: &ExtcapArgs) -> Done {
    use super::print;

    if arguments.extcap_interfaces {
        let interfaces = capture::interfaces();
        print(|out| out.write_all(interfaces.as_bytes()))?;
        return Ok(Status::Analysed);
    }
    let interface = arguments.extcap_interface.as_deref().map(capture::own_name);
    let Some(Some(interface)) = interface else {
        complain("extcap: this is what Wireshark calls; install it there with 'reshake wireshark --install'");
        return Ok(Status::Usage);
    };
    if arguments.extcap_dlts {
        let types = capture::link_types(interface);
        print(|out| out.write_all(types.as_bytes()))?;
    } else if arguments.extcap_config {
        print(|out| out.write_all(capture::OPTIONS.as_bytes()))?;
    } else if let Some(fifo) = arguments.fifo.as_deref().filter(|_| arguments.capture) {
        return capture::run(arguments, interface, fifo);
    }
    Ok(Status::Analysed)
}
