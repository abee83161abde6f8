//! Whether a filter misses packets with VLAN tags: a second, small handle takes what would match behind a tag.

use pcap::{Active, Capture};

use super::DeviceOptions;

/// Only that there is a packet is of interest.
const SNAPLEN: i32 = 64;
const BUFFER: i32 = 1 << 20;
/// Looks after the first such packet before anything is said: the same packet may be on its way here.
const LOOKS: u8 = 3;

/// Looks for packets with tags beside the capture itself.
pub(super) struct Tags {
    handle: Capture<Active>,
    /// Looks since such a packet was found.
    found: Option<u8>,
}

impl Tags {
    /// Begins to look, where there is a filter that may miss something. What keeps it from that is no matter.
    pub(super) fn watch(options: &DeviceOptions) -> Option<Self> {
        let filter = options.filter.as_deref().filter(|filter| !mentions_vlan(filter))?;
        let inactive = Capture::from_device(options.interface.as_str()).ok()?;
        let mut handle = inactive.snaplen(SNAPLEN).buffer_size(BUFFER).timeout(100).open().ok()?;
        handle.filter(&format!("vlan and ({filter})"), true).ok()?;
        Some(Self {
            handle: handle.setnonblock().ok()?,
            found: None,
        })
    }

    /// Whether packets with tags passed by for some time.
    pub(super) fn are_missed(&mut self) -> bool {
        if self.found.is_none() && self.handle.next_packet().is_ok() {
            self.found = Some(0);
        }
        self.found = self.found.map(|looks| looks.saturating_add(1));
        self.found.is_some_and(|looks| looks >= LOOKS)
    }
}

/// Whoever asks for tags knows of them.
fn mentions_vlan(filter: &str) -> bool {
    filter
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word == "vlan")
}

/// Whether an Ethernet frame bears a tag (IEEE 802.1Q, 802.1ad).
pub(super) fn is_tagged(frame: &[u8]) -> bool {
    matches!(frame.get(12..14), Some([0x81, 0x00] | [0x88, 0xa8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_asks_for_tags_is_known() {
        assert!(mentions_vlan("tcp or (vlan and tcp)"));
        assert!(!mentions_vlan("tcp port 443"));
    }
}
